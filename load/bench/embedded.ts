/** Taking in on the embedded database, and how soon it is there again. */
import { join } from "node:path";
import type { ClosedLoad, ClosedLoadResult } from "./closedLoad.ts";
import * as Cpu from "./cpu.ts";
import { ask } from "./processes.ts";
import type { Section } from "./report.ts";
import { type Bench, median, startService, takingInOnly } from "./Setup.ts";

export const run = async (bench: Bench): Promise<ReadonlyArray<Section>> => {
  const env = { ...takingInOnly, DATA_DIR: join(bench.directory, "embedded") };
  const seconds = bench.quick ? 2 : 6;
  const rounds = bench.quick ? 2 : 5;
  const measured: Array<ClosedLoadResult & { readonly cpu: number }> = [];
  bench.progress("embedded: first start");
  const first = await startService(bench, env);
  try {
    const load: ClosedLoad = { url: first.url, connections: 100, seconds };
    await ask<ClosedLoadResult>("closedLoad.ts", load);
    for (let turn = 1; turn <= rounds; turn += 1) {
      bench.progress(`embedded: round ${turn} of ${rounds}`);
      const cpu = Cpu.ofProcess(first.pid);
      const result = await ask<ClosedLoadResult>("closedLoad.ts", load);
      measured.push({
        ...result,
        cpu: ((Cpu.ofProcess(first.pid) - cpu) * 1000) / result.orders,
      });
    }
  } finally {
    await first.stop();
  }
  bench.progress("embedded: second start");
  const second = await startService(bench, env);
  await second.stop();

  const of = (field: keyof (typeof measured)[number]) =>
    median(measured.map((_) => _[field]));
  return [
    {
      title: "Embedded",
      note: `Taking in, 100 connections, ${rounds} rounds of ${seconds} s, medians; the database is in the service's process.`,
      rows: [
        {
          contender: "this service, embedded",
          "CPU µs/order": of("cpu"),
          "orders/s": of("perSecond"),
          "p50 ms": of("p50"),
          "p99 ms": of("p99"),
          "first start s": first.startMillis / 1000,
          "second start s": second.startMillis / 1000,
        },
      ],
      goals: [
        {
          name: "orders/s taken in",
          value: of("perSecond"),
          limit: 3000,
          is: "at least",
        },
        {
          name: "second start, seconds",
          value: second.startMillis / 1000,
          limit: 3,
          is: "at most",
        },
        {
          name: "orders refused or unanswered",
          value: measured.reduce((sum, _) => sum + _.refused, 0),
          limit: 0,
          is: "at most",
        },
      ],
    },
  ];
};
