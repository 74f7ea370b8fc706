import { defineConfig } from "vitest/config";

export default defineConfig({
  define: { WORLD_HASH: '"0"' },
  test: { environment: "happy-dom", include: ["test/**/*.test.ts"] },
});
