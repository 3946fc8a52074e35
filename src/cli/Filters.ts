/** Flags by which orders are chosen. */
import { Option, Schema } from "effect";
import { Flag } from "effect/cli";
import { UserId } from "../domain/Order.ts";
import { OrderStatus } from "../domain/OrderStatus.ts";

const timeFault = "must be a time such as 2026-01-31T12:00:00Z";

const Moment = Schema.String.check(
  Schema.makeFilter<string>((text) =>
    /^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(Date.parse(text))
      ? undefined
      : timeFault,
  ),
).pipe(Schema.decodeTo(Schema.DateTimeUtcFromString));

export const timeFlag = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withSchema(Moment),
    Flag.withMetavar("time"),
    Flag.withDescription(`${description}, such as 2026-01-31T12:00:00Z`),
    Flag.optional,
  );

const User = Schema.Trim.pipe(Schema.decodeTo(UserId));

export const userFlag = Flag.String("user").pipe(
  Flag.withAlias("u"),
  Flag.withSchema(User),
  Flag.withMetavar("user_id"),
  Flag.withDescription("Only this user's orders"),
  Flag.optional,
);

/** A whole number from 1 to `most`. */
export const countFlag = (name: string, most: number) =>
  Flag.Int(name).pipe(
    Flag.withSchema(
      Schema.Int.check(
        Schema.isBetween(
          { minimum: 1, maximum: most },
          { message: `must be a whole number from 1 to ${most}` },
        ),
      ),
    ),
    Flag.withMetavar("number"),
  );

export const filterFlags = {
  status: Flag.Literals("status", OrderStatus.literals).pipe(
    Flag.withAlias("s"),
    Flag.withDescription("Only orders of this status; repeat it for several"),
    Flag.between(0, OrderStatus.literals.length),
  ),
  user: userFlag,
  createdAfter: timeFlag("created-after", "Only orders placed since then"),
  createdBefore: timeFlag("created-before", "Only orders placed before then"),
} as const;

export interface ChosenOrders {
  readonly status: ReadonlyArray<OrderStatus>;
  readonly user: Option.Option<typeof UserId.Type>;
  readonly createdAfter: Option.Option<typeof Moment.Type>;
  readonly createdBefore: Option.Option<typeof Moment.Type>;
}

/** The same, as the service is asked. */
export const queryOf = (chosen: ChosenOrders) => ({
  status: chosen.status.length === 0 ? undefined : chosen.status,
  user_id: Option.getOrUndefined(chosen.user),
  created_after: Option.getOrUndefined(chosen.createdAfter),
  created_before: Option.getOrUndefined(chosen.createdBefore),
});
