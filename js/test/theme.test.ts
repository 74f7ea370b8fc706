import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const SOURCE = join(import.meta.dirname, "../src");
const WIDGET = readFileSync(join(SOURCE, "widget.css"), "utf8");
const SHEETS = readdirSync(SOURCE, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".css"));

type Color = [number, number, number];

/** The variables of each theme: the light one, JupyterLab's dark one, the system's dark one. */
function themes(): Record<string, string>[] {
  const blocks = WIDGET.match(/\{[^{}]*--fused-text:[^{}]*\}/g) ?? [];
  return blocks.map((block) =>
    Object.fromEntries([...block.matchAll(/(--fused-[\w-]+): ([^;]+);/g)].map(([, name, value]) => [name, value])),
  );
}

/** A colour over another one. */
function over(text: string, below: Color): Color {
  const hex = /^#(?:([\da-f]{2})([\da-f]{2})([\da-f]{2})|([\da-f])([\da-f])([\da-f]))$/i.exec(text);
  if (hex) return hex.slice(1).flatMap((part) => (part ? [Number.parseInt(part.padEnd(2, part), 16)] : [])) as Color;
  const parts = /^rgb\((\d+) (\d+) (\d+) \/ (\d+)%\)$/.exec(text)?.slice(1).map(Number) as number[];
  const alpha = (parts[3] as number) / 100;
  return below.map((channel, i) => (parts[i] as number) * alpha + channel * (1 - alpha)) as Color;
}

/** Contrast as WCAG 2 defines it. */
function contrast(one: Color, other: Color): number {
  const luminance = (color: Color) => {
    const [r = 0, g = 0, b = 0] = color.map((channel) => {
      const share = channel / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

describe("the themes", () => {
  it("knows the contrast of black and white", () => {
    expect(contrast([0, 0, 0], [255, 255, 255])).toBeCloseTo(21);
    expect(contrast(over("#767676", [0, 0, 0]), [255, 255, 255])).toBeCloseTo(4.54, 2);
  });

  it("are three, and the two dark ones are the same", () => {
    const [light, dark, system] = themes();
    expect(light).toBeDefined();
    expect(Object.keys(dark ?? {})).toEqual(Object.keys(light ?? {}));
    expect(system).toEqual(dark);
  });

  it.each(themes().map((theme, i) => [i, theme] as const))("of theme %i can be read on any tile", (_, theme) => {
    for (const ground of [
      [0, 0, 0],
      [255, 255, 255],
    ] as Color[]) {
      for (const back of ["--fused-solid", "--fused-panel"]) {
        const below = over(theme[back] as string, ground);
        for (const text of ["--fused-text", "--fused-faint", "--fused-accent"]) {
          const ratio = contrast(over(theme[text] as string, below), below);
          expect(ratio, `${text} on ${back} over ${ground}`).toBeGreaterThanOrEqual(4.5);
        }
        for (const edge of ["--fused-rim", "--fused-alarm"]) {
          const ratio = contrast(over(theme[edge] as string, below), below);
          expect(ratio, `${edge} on ${back} over ${ground}`).toBeGreaterThanOrEqual(3);
        }
      }
    }
  });
});

describe("the style sheets", () => {
  it.each(SHEETS)("%s moves nothing for those who want no motion", (name) => {
    const css = readFileSync(join(SOURCE, name), "utf8").replace(
      /@media \(prefers-reduced-motion: no-preference\) \{(?:[^{}]*\{[^{}]*\})*[^{}]*\}/g,
      "",
    );
    expect(css).not.toMatch(/(?:animation|transition)\s*:/);
  });
});
