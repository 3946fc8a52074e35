/**
 * Spreads requests over the instances as a load balancer does: each in turn,
 * none to one that is not ready, and a request that came to nothing at one
 * instance goes to another.
 */
import { setTimeout as wait } from "node:timers/promises";

export interface Balancer {
  /**
   * The instance to ask next: one that a request has not been missed at, and
   * a ready one if there is. `undefined` when it has been missed at all.
   */
  readonly choose: (missedAt: ReadonlySet<string>) => string | undefined;
  readonly close: () => Promise<void>;
}

/** How often an instance is asked whether it is ready, and how long it may take. */
const lookMillis = 500;
const lookMaxMillis = 1000;

const isReady = (url: string): Promise<boolean> =>
  fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(lookMaxMillis) })
    .then(async (answer) => {
      await answer.arrayBuffer();
      return answer.ok;
    })
    .catch(() => false);

export const open = (urls: ReadonlyArray<string>): Balancer => {
  const away = new Set<string>();
  let turn = 0;
  let isOver = false;

  const watch = async (url: string) => {
    while (!isOver) {
      if (await isReady(url)) away.delete(url);
      else away.add(url);
      await wait(lookMillis);
    }
  };
  // One alone is asked whether it is ready or not: there is no other.
  const watching = urls.length > 1 ? urls.map(watch) : [];

  return {
    choose: (missedAt) => {
      const left = urls.filter((url) => !missedAt.has(url));
      if (left.length === 0) return undefined;
      const ready = left.filter((url) => !away.has(url));
      turn += 1;
      const candidates = ready.length > 0 ? ready : left;
      return candidates[turn % candidates.length];
    },
    close: async () => {
      isOver = true;
      await Promise.all(watching);
    },
  };
};
