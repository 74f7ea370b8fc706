import { describe, expect, it } from "vitest";
import { finish, type Position, preview } from "../src/pointer/shapes";

const ring = (shape: ReturnType<typeof finish>) => (shape?.geometry.coordinates as Position[][] | undefined)?.[0];

describe("finish", () => {
  it("makes a closed box, counterclockwise, from any two corners", () => {
    const wanted = [
      [1, 2],
      [5, 2],
      [5, 7],
      [1, 7],
      [1, 2],
    ];
    for (const corners of [
      [
        [1, 2],
        [5, 7],
      ],
      [
        [5, 2],
        [1, 7],
      ],
    ] as Position[][]) {
      expect(ring(finish("box", corners))).toEqual(wanted);
    }
  });

  it("turns a clockwise polygon around and names what drew it", () => {
    const shape = finish("polygon", [
      [0, 0],
      [0, 1],
      [1, 0],
    ]);
    expect(ring(shape)).toEqual([
      [0, 0],
      [1, 0],
      [0, 1],
      [0, 0],
    ]);
    expect(shape?.properties).toEqual({ kind: "polygon" });
  });

  it("begins in the world however often the map was turned around it", () => {
    expect(
      ring(
        finish("box", [
          [530, 0],
          [550, 1],
        ]),
      )?.map(([x]) => x),
    ).toEqual([170, 190, 190, 170, 170]);
    expect(
      ring(
        finish("box", [
          [-190, 0],
          [-170, 1],
        ]),
      )?.map(([x]) => x),
    ).toEqual([170, 190, 190, 170, 170]);
  });

  it("is nothing without an area", () => {
    expect(finish("box", [[1, 1]])).toBeNull();
    expect(
      finish("box", [
        [1, 1],
        [1, 5],
      ]),
    ).toBeNull();
    expect(
      finish("polygon", [
        [0, 0],
        [0.1, 0.1],
        [0.3, 0.3],
      ]),
    ).toBeNull();
  });
});

describe("preview", () => {
  it("is a line until there is an area", () => {
    expect(preview("polygon", [[0, 0]], [1, 1]).geometry.type).toBe("LineString");
    expect(
      preview(
        "polygon",
        [
          [0, 0],
          [1, 0],
        ],
        [1, 1],
      ).geometry.type,
    ).toBe("Polygon");
    expect(preview("box", [[0, 0]], [1, 1]).geometry.type).toBe("Polygon");
  });
});
