/**
 * CPU time from the operating system's accounting, user and system together.
 * Linux only: nothing else tells the time of processes that have ended.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const ticksPerSecond = Number(
  execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }),
);

interface Times {
  /** The process itself, all its threads. */
  readonly own: number;
  /** Its children that have ended. */
  readonly ended: number;
}

const none: Times = { own: 0, ended: 0 };

/** Milliseconds; nothing of a process that is gone. */
const timesOf = (pid: number): Times => {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return none;
  }
  // The second field is the program's name in brackets and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ms = (index: number) => (Number(fields[index]) * 1000) / ticksPerSecond;
  return { own: ms(11) + ms(12), ended: ms(13) + ms(14) };
};

/** CPU time of a process so far, in milliseconds. */
export const ofProcess = (pid: number): number => timesOf(pid).own;

/** CPU time of a server so far: the postmaster, its children, its dead. */
export const ofPostgres = (dataDir: string): number => {
  const [line] = readFileSync(join(dataDir, "postmaster.pid"), "utf8").split(
    "\n",
  );
  const postmaster = Number(line);
  const children = readFileSync(
    `/proc/${postmaster}/task/${postmaster}/children`,
    "utf8",
  );
  const { ended, own } = timesOf(postmaster);
  return children
    .split(" ")
    .filter((pid) => pid !== "")
    .reduce((sum, pid) => sum + timesOf(Number(pid)).own, own + ended);
};
