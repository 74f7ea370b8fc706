import { describe, expect, it } from "vitest";
import { type Answer, KeptAnswers } from "../src/link/kept";

function answer(size: number, control = "private, max-age=60", status = 200): Answer {
  return { status, headers: { "Cache-Control": control, ETag: `"${size}"` }, body: new Uint8Array(size) };
}

describe("KeptAnswers", () => {
  it("forgets what was used longest ago when it is full", () => {
    const kept = new KeptAnswers(100);
    kept.settle("a", answer(40));
    kept.settle("b", answer(40));
    kept.fresh("a");

    kept.settle("c", answer(40));

    expect([kept.fresh("a"), kept.fresh("b"), kept.fresh("c")].map((one) => one?.body.length)).toEqual([
      40,
      undefined,
      40,
    ]);
  });

  it.each([
    ["no-store", 200, null, null],
    ["private, no-cache", 200, null, '"1"'],
    ["private, max-age=60", 422, null, null],
  ])("%s with status %i", (control, status, fresh, etag) => {
    const kept = new KeptAnswers();
    kept.settle("a", answer(1, control, status));

    expect([kept.fresh("a"), kept.etag("a")]).toEqual([fresh, etag]);
  });

  it("keeps nothing that is larger than all of it", () => {
    const kept = new KeptAnswers(10);
    kept.settle("a", answer(11));

    expect(kept.fresh("a")).toBeNull();
  });
});
