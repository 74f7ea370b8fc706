import { describe, expect, it } from "vitest";
import { type Actor, Stage } from "../src/view/stage";

/** A map that notes what the stage tells it. */
class FakeActor {
  isInView = true;
  isWanted = true;
  readonly told: string[] = [];
  idle: () => void = () => {};

  constructor(private readonly isQuick = true) {}

  begin(): void {
    this.told.push("begin");
  }

  rest(): void {
    this.told.push("rest");
  }

  isIdle(): Promise<void> {
    return this.isQuick ? Promise.resolve() : new Promise((resolve) => (this.idle = resolve));
  }
}

function enter(stage: Stage, ...actors: FakeActor[]): void {
  for (const actor of actors) stage.enter(actor as unknown as Actor);
}

const turns = () => new Promise((resolve) => setTimeout(resolve));

describe("Stage", () => {
  it("lets as many be drawn as there are contexts, and then the one longest there makes room", async () => {
    const stage = new Stage(2);
    const actors = [new FakeActor(), new FakeActor(), new FakeActor()];

    enter(stage, ...actors);
    await turns();

    expect(actors.map(({ told }) => told)).toEqual([["begin", "rest"], ["begin"], ["begin"]]);
    expect(stage.size).toBe(2);
  });

  it("takes one out of view before one in view", async () => {
    const stage = new Stage(2);
    const [first, second, third] = [new FakeActor(), new FakeActor(), new FakeActor()];
    second.isInView = false;

    enter(stage, first, second, third);
    await turns();

    expect([first.told, second.told]).toEqual([["begin"], ["begin", "rest"]]);
  });

  it("lets each be drawn once before it makes room", async () => {
    const stage = new Stage(1);
    const [slow, next] = [new FakeActor(false), new FakeActor()];

    enter(stage, slow, next);
    await turns();
    expect([slow.told, next.told]).toEqual([["begin"], []]);

    slow.idle();
    await turns();
    expect([slow.told, next.told]).toEqual([["begin", "rest"], ["begin"]]);
  });

  it("gives the place of one that leaves to one that waits", async () => {
    const stage = new Stage(1);
    const [slow, next] = [new FakeActor(false), new FakeActor()];
    enter(stage, slow, next);
    await turns();

    stage.leave(slow as unknown as Actor);
    slow.idle();
    await turns();

    expect([slow.told, next.told]).toEqual([["begin"], ["begin"]]);
  });

  it("does not draw what has gone while it waited, nor twice what asked twice", async () => {
    const stage = new Stage(1);
    const [first, gone, twice] = [new FakeActor(), new FakeActor(), new FakeActor()];
    gone.isWanted = false;

    enter(stage, first, gone, twice, twice);
    await turns();

    expect([first.told, gone.told, twice.told]).toEqual([["begin", "rest"], [], ["begin"]]);
  });
});
