import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/globalPostgres.ts"],
    reporters: ["default", "./test/support/countReporter.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Two cores: more files at once would only wait for each other.
    maxWorkers: 2,
  },
});
