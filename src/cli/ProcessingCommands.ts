/** `orders processing`: whether orders are worked on, and by whom. */
import { Effect, Stream } from "effect";
import { Command, Flag } from "effect/cli";
import type { Processing } from "../api/ProcessingApi.ts";
import { showAll, showOne, type View } from "./Results.ts";
import { type Client, withClient } from "./Settings.ts";
import { timeText } from "./Views.ts";

const rate = (perSecond: number | null) =>
  perSecond === null ? "-" : `${Number(perSecond.toFixed(2))}/s`;

const view: View<Processing> = {
  fields: [
    ...["state", "paused_at", "paused_by", "instances", "receiver", "rates"],
    "changes",
  ],
  columns: [
    {
      title: "STATE",
      of: ({ state }) => state,
      colour: ({ state }) => (state === "RUNNING" ? "green" : "yellow"),
    },
    {
      title: "PAUSED",
      of: ({ paused_at, paused_by }) =>
        paused_at === null
          ? "-"
          : `${timeText(paused_at)}${paused_by === null ? "" : ` by ${paused_by}`}`,
    },
    { title: "INSTANCES", of: ({ instances }) => String(instances.length) },
    {
      title: "IN WORK",
      of: ({ instances }) =>
        String(instances.reduce((sum, { in_work }) => sum + in_work, 0)),
    },
    {
      title: "RECEIVER",
      of: ({ receiver }) =>
        receiver === null
          ? "none"
          : [receiver.circuit, receiver.last_error ?? ""].join(" ").trim(),
      colour: ({ receiver }) =>
        receiver === null || receiver.circuit === "CLOSED" ? undefined : "red",
    },
    { title: "PLACED", of: ({ rates }) => rate(rates.placed_per_second) },
    { title: "COMPLETED", of: ({ rates }) => rate(rates.completed_per_second) },
    { title: "FAILED", of: ({ rates }) => rate(rates.failed_per_second) },
  ],
};

type Instance = Processing["instances"][number];

const instancesView: View<Instance> = {
  fields: [
    ...["name", "version", "started_at", "state", "partitions", "in_work"],
    "mailbox_depth",
  ],
  columns: [
    { title: "INSTANCE", width: 36, of: ({ name }) => name },
    { title: "VERSION", of: ({ version }) => version },
    { title: "STARTED", of: ({ started_at }) => timeText(started_at) },
    { title: "STATE", of: ({ state }) => state },
    {
      title: "PARTITIONS",
      right: true,
      of: ({ partitions }) => String(partitions.length),
    },
    { title: "IN WORK", right: true, of: ({ in_work }) => String(in_work) },
    {
      title: "MAILBOX",
      right: true,
      of: ({ mailbox_depth }) => String(mailbox_depth),
    },
  ],
};

const shown = (ask: (client: Client) => Effect.Effect<Processing, unknown>) =>
  withClient((client) =>
    Effect.flatMap(ask(client), (processing) => showOne(view, processing)),
  );

const show = Command.make(
  "show",
  {
    instances: Flag.Boolean("instances").pipe(
      Flag.withDescription("The instances, one by one"),
      Flag.withDefault(false),
    ),
  },
  ({ instances }) =>
    instances
      ? withClient((client) =>
          Effect.flatMap(client.processing.get(), (processing) =>
            showAll(instancesView, Stream.fromIterable(processing.instances)),
          ),
        )
      : shown(({ processing }) => processing.get()),
).pipe(
  Command.withDescription("Show whether orders are worked on, and how fast"),
  Command.withExamples([{ command: "orders processing show --instances" }]),
);

const pause = Command.make("pause", {}, () =>
  shown(({ processing }) => processing.pause()),
).pipe(
  Command.withDescription(
    "Pause: no attempt begins any more, on any instance; orders are still taken in",
  ),
);

const resume = Command.make("resume", {}, () =>
  shown(({ processing }) => processing.resume()),
).pipe(Command.withDescription("Resume: orders begin again, the oldest first"));

export const processing = Command.make("processing").pipe(
  Command.withDescription("Show, pause and resume the work on orders"),
  Command.withSubcommands([show, pause, resume]),
);
