#!/usr/bin/env node
/**
 * The `orders` command on Node: in a checkout, in the image, and as the `bin`
 * of the packed client. It needs no package besides `effect`.
 */
import { enableCompileCache } from "node:module";

// What was compiled is kept for the next time: half of a start.
enableCompileCache();
const { run } = await import("./platform/NodeCommand.ts");
run();
