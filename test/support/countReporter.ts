/** Ends a run with one plain line that any reader understands. */
import type { Reporter, TestModule } from "vitest/node";

const count = (modules: ReadonlyArray<TestModule>, state: string) =>
  modules.reduce(
    (sum, module) =>
      sum + Array.from(module.children.allTests(state as never)).length,
    0,
  );

export default class CountReporter implements Reporter {
  onTestRunEnd(
    modules: ReadonlyArray<TestModule>,
    errors: ReadonlyArray<unknown>,
  ) {
    // A file that cannot be loaded, and one whose hook fails, has no failed
    // test to count.
    const broken = modules.filter(
      (module) =>
        module.state() === "failed" && count([module], "failed") === 0,
    ).length;
    const failed = count(modules, "failed") + broken + errors.length;
    console.log(`${count(modules, "passed")} passed, ${failed} failed`);
  }
}
