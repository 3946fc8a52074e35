/** What the load test uses of autocannon 9, which brings no types. */
declare module "autocannon" {
  import type { EventEmitter } from "node:events";

  /** One connection, with at most one request under way. */
  interface Client extends EventEmitter {
    setBody(body: string): void;
  }

  interface Options {
    readonly url: string;
    readonly method: "POST";
    readonly headers: Readonly<Record<string, string>>;
    readonly connections: number;
    /** Seconds. */
    readonly duration: number;
    /** Seconds. */
    readonly timeout: number;
    /** Errors after which to stop. */
    readonly bailout: number;
    readonly excludeErrorStats: boolean;
    readonly setupClient: (client: Client) => void;
    readonly overallRate?: number;
    readonly ignoreCoordinatedOmission?: boolean;
  }

  interface Result {
    /** Seconds. */
    readonly duration: number;
    readonly start: Date;
    readonly timeouts: number;
    /** Whole milliseconds. */
    readonly latency: {
      readonly p50: number;
      readonly p90: number;
      readonly p97_5: number;
      readonly p99: number;
      readonly max: number;
    };
  }

  interface Run extends EventEmitter, PromiseLike<Result> {
    /** Ends the run at its next tick, within a second. */
    stop(): void;
  }

  export default function autocannon(options: Options): Run;
}
