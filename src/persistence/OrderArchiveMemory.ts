/** Orders that have left the table, in memory: `OrderRepositoryMemory`. */
import { DateTime, Duration, Effect } from "effect";
import {
  type ArchiveFile,
  claimedFilesMax,
  type Left,
  OrderArchive,
} from "./OrderArchive.ts";
import type { CountPlace } from "./OrderRepository.ts";
import type { Row } from "./OrderRepositoryMemory.ts";

const isFinal = ({ order: { status } }: Row) =>
  status === "COMPLETED" || status === "FAILED" || status === "CANCELLED";

export const make = (
  rows: Map<string, Row>,
  forget: (order_id: string) => void,
) => {
  const orders = new Map<string, Row>();
  const batches: Array<ReadonlyArray<bigint>> = [];
  const files: Array<ArchiveFile> = [];
  let epoch = 0;

  const archive = OrderArchive.of({
    claim: Effect.sync(() => {
      epoch += 1;
      return { epoch, files: files.toReversed().slice(0, claimedFilesMax) };
    }),
    look: ({ after, age, limit, slack }) =>
      Effect.map(DateTime.now, (now) => {
        const isPast = (time: DateTime.Utc, ago: Duration.Duration) =>
          time.epochMilliseconds <=
          now.epochMilliseconds - Duration.toMillis(ago);
        return Array.from(rows.values())
          .filter(({ seq }) => seq > after)
          .slice(0, limit)
          .map((row) => ({
            order_id: row.order.order_id,
            seq: row.seq,
            item_bytes: row.item_bytes,
            isReady: isFinal(row) && isPast(row.order.updated_at, age),
            isOld: isPast(row.order.created_at, Duration.sum(age, slack)),
          }));
      }),
    read: (order_ids) =>
      Effect.sync(() =>
        order_ids
          .flatMap((order_id) => rows.get(order_id) ?? [])
          .filter(isFinal)
          .map(({ begun, order }) => ({ order, begun })),
      ),
    openFile: (claimed, name) =>
      Effect.sync(() => {
        if (claimed !== epoch) return false;
        files.push({ name, bytes: 0 });
        return true;
      }),
    leave: (leaving) =>
      Effect.sync((): Left => {
        if (leaving.epoch !== epoch) return "fenced";
        const found = leaving.orders.flatMap(({ begun, order_id, status }) => {
          const row = rows.get(order_id);
          return row !== undefined &&
            isFinal(row) &&
            row.begun === begun &&
            row.order.status === status
            ? [row]
            : [];
        });
        if (found.length !== leaving.orders.length) return "changed";
        for (const row of found) {
          rows.delete(row.order.order_id);
          forget(row.order.order_id);
          orders.set(row.order.order_id, row);
        }
        batches.push(found.map(({ seq }) => seq));
        const { file } = leaving;
        const index = files.findIndex(({ name }) => name === file?.name);
        if (file !== undefined && index !== -1) files[index] = file;
        return "left";
      }),
  });

  return {
    archive,
    orders,
    batch: () => BigInt(batches.length),
    /** Of the orders up to a place, those that have left since it was reached. */
    since: ({ batch, seq }: CountPlace) =>
      batches
        .slice(Number(batch ?? 0n))
        .flat()
        .filter((number) => number <= seq).length,
  };
};
