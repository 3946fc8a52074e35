import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/globalPostgres.ts"],
    reporters: ["default", "./test/support/countReporter.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // For two cores: many files wait for processes most of the time.
    maxWorkers: 3,
  },
});
