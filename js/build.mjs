// Builds the files that the wheel ships: loader.js, sent with every map, map.js, loaded once per page, compare.js,
// sent with every comparison of two maps, and top.js, sent with every %fused_top.
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";
import { buildWorld } from "./world.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const output = join(here, "..", "fused_jupyter", "widgets", "static");
const resolvePackage = createRequire(import.meta.url).resolve;
const LIMIT = 20_000; // bytes; what travels with every widget, and anywidget gives it two seconds
const PACKED_LIMIT = 500_000; // bytes of map.js with gzip, which a page loads once

/** `import text from "./file?raw"` gives the file as a string, as Vite and so vitest have it. */
const raw = {
  name: "raw",
  setup(builder) {
    builder.onResolve({ filter: /\?raw$/ }, ({ path, resolveDir }) => {
      const file = path.slice(0, -"?raw".length);
      return { path: file.startsWith(".") ? join(resolveDir, file) : resolvePackage(file), namespace: "raw" };
    });
    builder.onLoad({ filter: /.*/, namespace: "raw" }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      if (!path.endsWith(".css")) return { contents: text, loader: "text" };
      return { contents: (await transform(text, { loader: "css", minify: true })).code, loader: "text" };
    });
  },
};

await mkdir(output, { recursive: true });
const world = join(output, "world.json");
await buildWorld(join(here, "node_modules"), world);
const worldHash = createHash("sha256")
  .update(await readFile(world))
  .digest("hex")
  .slice(0, 16);
await build({
  entryPoints: {
    loader: join(here, "src/loader.ts"),
    map: join(here, "src/map.ts"),
    compare: join(here, "src/view/compare.ts"),
    top: join(here, "src/top.ts"),
    viewer: join(here, "src/page.ts"),
  },
  outdir: output,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "eof",
  define: { WORLD_HASH: JSON.stringify(worldHash) },
  plugins: [raw],
});
// MapLibre's licence asks that its text goes wherever its code goes.
await copyFile(join(here, "node_modules/maplibre-gl/LICENSE.txt"), join(output, "maplibre-gl.LICENSE.txt"));

for (const name of ["loader.js", "map.js", "compare.js", "top.js", "viewer.js"]) {
  const { size } = await stat(join(output, name));
  console.log(`${name} ${(size / 1000).toFixed(1)} kB`);
  const packed = name === "map.js" ? gzipSync(await readFile(join(output, name))).length : 0;
  if (packed > PACKED_LIMIT) throw new Error(`${name} has ${packed} bytes with gzip, at most ${PACKED_LIMIT}`);
  if (name !== "map.js" && size > LIMIT) throw new Error(`${name} has ${size} bytes, at most ${LIMIT}`);
}
