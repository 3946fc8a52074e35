/**
 * Exporting: all orders of a table, streamed over HTTP in both forms, and what
 * that takes of the service's memory and of CPU. Each in a process of its own.
 */
import * as Cpu from "./cpu.ts";
import * as PastOrders from "./pastOrders.ts";
import type { Row, Section } from "./report.ts";
import { type Bench, startService, takingInOnly } from "./Setup.ts";
import { memoryOf } from "./underBurden.ts";

const newline = "\n".charCodeAt(0);

interface Read {
  readonly bytes: number;
  readonly lines: number;
  readonly last: string;
}

/** Reads an export to its end, and keeps nothing of it but its last line. */
const readAll = async (url: string): Promise<Read> => {
  const response = await fetch(url);
  if (!response.ok) throw new Error(await response.text());
  let [bytes, lines] = [0, 0];
  let tail = Buffer.alloc(0);
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    for (let at = chunk.indexOf(newline); at !== -1; ) {
      lines += 1;
      at = chunk.indexOf(newline, at + 1);
    }
    tail = Buffer.from(Buffer.concat([tail, chunk]).subarray(-200));
  }
  const last = tail.toString("utf8").trimEnd().split("\n").at(-1) ?? "";
  return { bytes, lines, last };
};

const closings = {
  ndjson: (orders: number) => `{"exported":${orders}}`,
  csv: (orders: number) => `# exported,${orders},,,,,,,,,,`,
};

const measure = async (
  bench: Bench,
  database: string,
  format: keyof typeof closings,
  orders: number,
) => {
  bench.progress(`exporting ${orders} orders as ${format}`);
  const service = await startService(bench, {
    ...takingInOnly,
    DATABASE_URL: database,
  });
  try {
    await bench.settle();
    const atRest = memoryOf(service.pid).now;
    const before = [Cpu.ofProcess(service.pid), bench.postgresCpu()] as const;
    const began = performance.now();
    const read = await readAll(
      `${service.url}/api/orders/export/?format=${format}`,
    );
    const seconds = (performance.now() - began) / 1000;
    const cpu = Cpu.ofProcess(service.pid) - before[0];
    const postgresCpu = bench.postgresCpu() - before[1];
    if (read.last !== closings[format](orders)) {
      throw new Error(`the export ends with ${read.last}`);
    }
    const expected = orders + (format === "csv" ? 2 : 1);
    if (read.lines !== expected) throw new Error(`${read.lines} lines`);
    const { highest } = memoryOf(service.pid);
    return {
      row: {
        format,
        orders,
        seconds,
        "orders/s": orders / seconds,
        MiB: read.bytes / 2 ** 20,
        "service CPU µs/order": (cpu * 1000) / orders,
        "PostgreSQL CPU µs/order": (postgresCpu * 1000) / orders,
        "at rest MiB": atRest,
        "more MiB": highest - atRest,
      } satisfies Row,
      seconds,
      more: highest - atRest,
    };
  } finally {
    await service.stop();
  }
};

export const run = async (bench: Bench): Promise<ReadonlyArray<Section>> => {
  const orders = bench.quick ? 100_000 : 1_000_000;
  const database = await bench.database();
  // The service makes the tables.
  await (await startService(bench, { DATABASE_URL: database })).stop();
  await PastOrders.addPastOrders({
    database,
    orders,
    onProgress: (made) => bench.progress(`made ${made} orders`),
  });
  const measured = [
    await measure(bench, database, "ndjson", orders),
    await measure(bench, database, "csv", orders),
  ];
  return [
    {
      title: "Exporting",
      note: "All orders of a table over HTTP, read as fast as they come by a process beside the service. Memory is the highest resident of the service, over what it took at rest.",
      rows: measured.map(({ row }) => row),
      goals: [
        {
          name: "seconds, at worst",
          value: Math.max(...measured.map(({ seconds }) => seconds)),
          limit: 60,
          is: "at most",
        },
        {
          name: "MiB more than at rest, at worst",
          value: Math.max(...measured.map(({ more }) => more)),
          limit: 100,
          is: "at most",
        },
      ],
    },
  ];
};
