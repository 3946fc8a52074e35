/** What the test uses of newman 6, which brings no types. */
declare module "newman" {
  interface Options {
    readonly collection: object;
    readonly envVar: ReadonlyArray<{
      readonly key: string;
      readonly value: string;
    }>;
    /** Names of folders or requests to run; all if not given. */
    readonly folder?: ReadonlyArray<string>;
    /** Milliseconds. */
    readonly timeoutRequest: number;
  }

  interface Execution {
    readonly item: { readonly name: string };
    /** Not there when no answer came. */
    readonly response?: { readonly code: number };
    /** One for each `pm.test`. */
    readonly assertions?: ReadonlyArray<{
      readonly assertion: string;
      readonly error?: Error;
    }>;
  }

  export interface Summary {
    readonly run: {
      readonly executions: ReadonlyArray<Execution>;
      /** Failed assertions, requests and scripts. */
      readonly failures: ReadonlyArray<{
        readonly error: Error;
        readonly source?: { readonly name: string };
      }>;
    };
  }

  const newman: {
    run(
      options: Options,
      done: (error: Error | null, summary: Summary) => void,
    ): void;
  };
  export default newman;
}
