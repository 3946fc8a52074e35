/**
 * How orders leave the table: those that have been final for long enough. Of an
 * order that has left, its id stays and a digest of its content, so that it is
 * not placed again.
 *
 * An order is in the table or it has left, at every moment: both change in one
 * transaction. One at a time lets orders leave, who claimed it last.
 */
import { Context, type Duration, type Effect } from "effect";
import type { Order, OrderId } from "../domain/Order.ts";
import type { OrderStatus } from "../domain/OrderStatus.ts";
import type {
  Epoch,
  LogPlace,
  RepositoryUnavailable,
} from "./OrderRepository.ts";

/** A file of archived orders, and up to where it is true. */
export interface ArchiveFile {
  readonly name: string;
  /** What is behind that in the file has not left the table. */
  readonly bytes: number;
}

/** Whose the archive is, and the files of those before: the latest of them. */
export interface ArchiveClaim {
  readonly epoch: Epoch;
  readonly files: ReadonlyArray<ArchiveFile>;
}

/** An order as it is met when the log is looked through. */
export interface OrderSeen {
  readonly order_id: OrderId;
  readonly seq: LogPlace;
  readonly item_bytes: number;
  /** It has been final for long enough. */
  readonly isReady: boolean;
  /** It was placed so long ago that it might be. */
  readonly isOld: boolean;
}

/** An order that is to leave, as it was when it was read. */
export interface LeavingOrder {
  readonly order: Order;
  /** Attempts ever begun: with the status, it tells whether it has changed. */
  readonly begun: number;
}

/** Orders that leave together. */
export interface Leaving {
  readonly epoch: Epoch;
  readonly orders: ReadonlyArray<{
    readonly order_id: OrderId;
    readonly status: OrderStatus;
    readonly begun: number;
  }>;
  /** The file that has them, as long as it is now. */
  readonly file: ArchiveFile | undefined;
}

/**
 * What came of it. `changed`: one of them is not as it was given, and none has
 * left. `fenced`: somebody else has claimed the archive.
 */
export type Left = "left" | "changed" | "fenced";

type Answer<A> = Effect.Effect<A, RepositoryUnavailable>;

export class OrderArchive extends Context.Service<
  OrderArchive,
  {
    /** Takes the archive over: nothing leaves by who had it before. */
    readonly claim: Answer<ArchiveClaim>;
    /**
     * Looks at orders in the order of the log, whatever their state. One that
     * is committed late may appear behind: look through all again, later.
     *
     * @param age for how long it is final
     * @param slack beyond `age`, how long orders may take from their placing
     */
    look(options: {
      readonly after: LogPlace;
      readonly limit: number;
      readonly age: Duration.Duration;
      readonly slack: Duration.Duration;
    }): Answer<ReadonlyArray<OrderSeen>>;
    /** Those of them that are final and that nobody holds. */
    read(
      order_ids: ReadonlyArray<OrderId>,
    ): Answer<ReadonlyArray<LeavingOrder>>;
    /** Notes a file before it is made; says whether the claim holds. */
    openFile(epoch: Epoch, name: string): Answer<boolean>;
    /** Lets all of them leave, or none. */
    leave(leaving: Leaving): Answer<Left>;
  }
>()("persistence/OrderArchive") {}

/** The most files that are told to who claims the archive. */
export const claimedFilesMax = 100;
