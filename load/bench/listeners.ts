/**
 * Listens to the stream of events, on so many connections, until it is told to
 * stop; says how long events took to be heard.
 */
import { get, type IncomingMessage } from "node:http";
import { given, tell } from "./processes.ts";
import { quantiles } from "./quantiles.ts";

export interface Listening {
  readonly url: string;
  readonly listeners: number;
}

export interface ListeningResult {
  /** Heard, over all listeners. */
  readonly events: number;
  /** Milliseconds from the time of the event. */
  readonly p50: number;
  readonly p99: number;
}

const { listeners, url } = given<Listening>();
const latencies: Array<number> = [];

/** Times are looked for as text: parsing all of it would be the slowest part. */
const time = /"time":"([^"]+)"/g;

const listen = () =>
  new Promise<void>((listening, failed) => {
    const onAnswer = (answer: IncomingMessage) => {
      if (answer.statusCode !== 200) failed(new Error(`${answer.statusCode}`));
      let rest = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        listening();
        const now = Date.now();
        const end = (rest + chunk).lastIndexOf("\n\n");
        const whole = end === -1 ? "" : (rest + chunk).slice(0, end);
        rest = (rest + chunk).slice(end === -1 ? 0 : end);
        for (const [, at] of whole.matchAll(time)) {
          latencies.push(now - Date.parse(at as string));
        }
      });
    };
    get(`${url}/api/events/stream/?after=latest`, onAnswer).on("error", failed);
  });

await Promise.all(Array.from({ length: listeners }, listen));
tell("listening");
process.once("message", () => {
  const latency = quantiles(latencies);
  tell({
    events: latencies.length,
    p50: latency(0.5),
    p99: latency(0.99),
  } satisfies ListeningResult);
  process.exit();
});
