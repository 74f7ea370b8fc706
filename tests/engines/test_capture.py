from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Workshop


def test_captured_is_all_that_is_written_meanwhile(workshop: Workshop) -> None:
    """By Python, C code, descriptor and children; before and after, it goes where it went."""
    source = """
        import ctypes, os, subprocess, sys
        from fused_jupyter.engines.capture import Captures
        def f():
            ctypes.CDLL(None).printf(b"c before ")
            print("before", end=" ")
            with Captures().capture() as captured:
                print("inside", end=" ")
                ctypes.CDLL(None).puts(b"c")
                subprocess.run(["echo", "child"])
                os.write(2, b"error\\n")
            print("after")
            return captured.stdout, captured.stderr
    """
    pieces: list[str] = []

    kept = workshop.wait(workshop.ask(source, on_text=lambda _, text: pieces.append(text)))

    assert sorted(kept[0].split()) == ["c", "child", "inside"]
    assert kept[1] == "error\n"
    assert sorted("".join(pieces).split()) == ["after", "before", "before", "c"]


def test_captures_may_overlap_in_any_order(workshop: Workshop) -> None:
    """In threads the one that began first may end first: no output is lost, and none goes astray afterwards."""
    source = """
        from fused_jupyter.engines.capture import Captures
        def f():
            captures = Captures()
            one, two, inner = captures.capture(), captures.capture(), captures.capture()
            first = one.__enter__()
            print("first")
            second = two.__enter__()
            print("second")
            one.__exit__(None, None, None)
            print("second still")
            with inner as third:
                print("third")
            print("second again")
            two.__exit__(None, None, None)
            print("outside")
            return first.stdout, second.stdout, third.stdout
    """
    reply, _ = workshop.wait(workshop.send(source))

    assert reply.stdout == "outside\n"
    assert workshop.run(source) == ("first\n", "second\nsecond still\nsecond again\n", "third\n")
