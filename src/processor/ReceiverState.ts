/**
 * How it is with the receiver, as this process sees it: written by its circuit
 * (`ReceiverCircuit`), read by whoever tells others. There is one receiver.
 */
import { Context, DateTime, Layer } from "effect";
import type { CircuitState, Receiver } from "../domain/Processing.ts";

export interface ReceiverState {
  /** Null where there is no receiver. */
  readonly now: () => Receiver | null;
  /** The circuit's state; it is since then that it is closed, or is not. */
  readonly turned: (circuit: CircuitState, millis: number) => void;
  /** @param error in fixed words */
  readonly failed: (error: string, millis: number) => void;
}

export const make = (): ReceiverState => {
  let receiver: Receiver | null = null;
  return {
    now: () => receiver,
    turned: (circuit, millis) => {
      const isSame =
        receiver !== null &&
        (receiver.circuit === "CLOSED") === (circuit === "CLOSED");
      receiver = {
        circuit,
        since:
          isSame && receiver !== null
            ? receiver.since
            : DateTime.makeUnsafe(millis),
        last_error: receiver?.last_error ?? null,
        last_error_at: receiver?.last_error_at ?? null,
      };
    },
    failed: (last_error, millis) => {
      if (receiver === null) return;
      const last_error_at = DateTime.makeUnsafe(millis);
      receiver = { ...receiver, last_error, last_error_at };
    },
  };
};

export const ReceiverState = Context.Reference<ReceiverState>(
  "processor/ReceiverState",
  { defaultValue: make },
);

export const layer = Layer.sync(ReceiverState, make);
