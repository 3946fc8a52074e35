/** The words on the command line: few, as settings come from the environment. */
import { parseArgs } from "node:util";
import { Effect } from "effect";
import { partitionCount } from "../domain/Partition.ts";
import { StartFailed } from "./Runtime.ts";

export interface Arguments {
  readonly help: boolean;
  /** How many instances to start and look after. */
  readonly instances: number | undefined;
  /** Which of them this process is, when it is one of several. */
  readonly instance: number | undefined;
}

/** With more, some would have no partition to work on. */
const instancesMax = partitionCount;

export const usage = `Takes orders in over HTTP and works through them.

  npm start                       one instance
  npm start -- --instances 4      four on one port, started again if they end;
                                  needs DATABASE_URL, and Linux

  --instances <n>  1 to ${instancesMax}
  --help

Settings come from the environment and .env: see .env.example.`;

const options = {
  help: { type: "boolean" },
  instances: { type: "string" },
  // Given by the supervisor to those it starts.
  instance: { type: "string" },
} as const;

const numberOf = (name: string, text: string | undefined) => {
  if (text === undefined) return undefined;
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= instancesMax) return number;
  throw new Error(
    `--${name} "${text}" must be a whole number from 1 to ${instancesMax}`,
  );
};

/** The first sentence; Node goes on with advice that does not fit here. */
const sentenceOf = ({ message }: Error) =>
  /'--instances.*(missing|ambiguous)/.test(message)
    ? `--instances must be a whole number from 1 to ${instancesMax}`
    : message.split(/\.\s/)[0];

export const parse = (
  args: ReadonlyArray<string>,
): Effect.Effect<Arguments, StartFailed> =>
  Effect.try({
    try: () => {
      const { values } = parseArgs({ args: [...args], options });
      return {
        help: values.help === true,
        instances: numberOf("instances", values.instances),
        instance: numberOf("instance", values.instance),
      };
    },
    catch: (error) =>
      new StartFailed({
        message: `${sentenceOf(error as Error)} (--help says what there is)`,
      }),
  });
