import { afterEach, describe, expect, it } from "vitest";
import { type Camera, join, lead } from "../src/view/sync";

/** Tells its group of every move, as MapLibre's event does; corrects a place as a map of another size does. */
class FakeCamera implements Camera {
  moves = 0;
  group = "";

  constructor(
    public lng = 0,
    private readonly lowest = -90,
  ) {}

  getCenter() {
    return { lng: this.lng, lat: this.lowest };
  }

  getZoom() {
    return 3;
  }

  jumpTo({ center }: { center: [number, number] }, eventData: object = {}) {
    this.lng = center[0];
    this.moves += 1;
    if (this.moves > 50) throw new Error("they move each other for ever");
    if (this.group) lead(this.group, this, { type: "move", ...eventData });
  }
}

describe("sync groups", () => {
  const leave: (() => void)[] = [];
  const enter = (camera: FakeCamera, group: string, rank = 0) => {
    camera.group = group;
    leave.push(join(group, camera, rank));
    return camera;
  };
  afterEach(() => {
    for (const one of leave.splice(0)) one();
  });

  it("moves the others once each, also where they end elsewhere", () => {
    const cameras = [0, -60, -80].map((lowest) => enter(new FakeCamera(5, lowest), "a"));
    for (const camera of cameras) camera.moves = 0;

    cameras[0]?.jumpTo({ center: [7, 0] });

    expect(cameras.map(({ lng }) => lng)).toEqual([7, 7, 7]);
    expect(cameras.map(({ moves }) => moves)).toEqual([1, 1, 1]);
  });

  it("takes who enters to where the others are", () => {
    enter(new FakeCamera(40), "a");
    expect(enter(new FakeCamera(1), "a").lng).toBe(40);
    expect(enter(new FakeCamera(1), "b").lng).toBe(1);
  });

  it("is led by the lowest rank, whoever comes first", () => {
    const second = enter(new FakeCamera(40), "d", 1);
    const first = enter(new FakeCamera(7), "d", 0);
    const third = enter(new FakeCamera(90), "d", 2);
    expect([first, second, third].map(({ lng }) => lng)).toEqual([7, 7, 7]);
  });

  it("leaves who left alone, and forgets an empty group", () => {
    const [first, second] = [new FakeCamera(1), new FakeCamera(1)];
    const leaveFirst = join("c", first, 0);
    const leaveSecond = join("c", second, 1);
    leaveSecond();
    first.group = "c";
    first.jumpTo({ center: [9, 0] });
    expect(second.lng).toBe(1);
    leaveFirst();
    expect(enter(new FakeCamera(3), "c").lng).toBe(3);
  });
});
