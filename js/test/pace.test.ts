import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Pace } from "../src/panel/pace";

describe("Pace", () => {
  let applied: number[];
  let hasAnswered: boolean;
  let pace: Pace<number>;

  beforeEach(() => {
    vi.useFakeTimers();
    applied = [];
    hasAnswered = false;
    pace = new Pace(
      (value) => applied.push(value),
      () => hasAnswered,
      () => Date.now(),
    );
  });
  afterEach(() => vi.useRealTimers());

  it("applies the first value at once", () => {
    pace.push(1);
    expect(applied).toEqual([1]);
  });

  it("applies at most one in 100 ms while nobody answers, and the last", () => {
    for (let i = 0; i < 100; i++) {
      pace.push(i);
      vi.advanceTimersByTime(10);
    }
    vi.advanceTimersByTime(200);

    expect(applied.length).toBeGreaterThanOrEqual(10);
    expect(applied.length).toBeLessThanOrEqual(11);
    expect(applied.at(-1)).toBe(99);
  });

  it("goes on with the next frame once the server answers", () => {
    pace.push(1);
    pace.push(2);
    vi.advanceTimersByTime(20);
    expect(applied).toEqual([1]);

    hasAnswered = true;
    pace.answered();

    expect(applied).toEqual([1, 2]);
  });

  it("applies what waits when it is let go, once", () => {
    pace.push(1);
    pace.push(2);
    pace.flush();
    vi.advanceTimersByTime(500);

    expect(applied).toEqual([1, 2]);
  });

  it("applies nothing after it was cleared", () => {
    pace.push(1);
    pace.push(2);
    pace.clear();
    vi.advanceTimersByTime(500);

    expect(applied).toEqual([1]);
  });
});
