/** CSV as of RFC 4180, written and read. */

/**
 * Where a spreadsheet may begin a cell. What would be a formula there gets a
 * `'` before it, and so does a `'`, as in the service's own exports
 * (`http/ExportFormats.ts`): reading takes exactly one away.
 */
const formulaStarts = /(^"*|[;\t\r\n]"*)(?=['=+\-@\t\r\n＝＋－＠])/g;
const guards = /(^"*|[;\t\r\n]"*)'(?=['=+\-@\t\r\n＝＋－＠])/g;

/** A cell as it was before it was guarded. */
export const unguarded = (cell: string): string =>
  cell.includes("'") ? cell.replace(guards, "$1") : cell;

/** A cell that a spreadsheet takes for text, where it is text. */
export const cellOf = (value: unknown): string => {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") {
    return String(value);
  }
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const safe = text.replace(formulaStarts, "$1'");
  return /^[\w.:+-]*$/.test(safe) ? safe : `"${safe.replaceAll('"', '""')}"`;
};

export const csvLine = (values: ReadonlyArray<unknown>): string =>
  `${values.map(cellOf).join(",")}\r\n`;

/** The cells of one record. */
export const cellsOf = (
  line: string,
): { cells: ReadonlyArray<string>; fault: string | undefined } => {
  const cells: Array<string> = [];
  const wrong = (fault: string) => ({ cells, fault });
  let index = 0;
  while (true) {
    if (line[index] === '"') {
      let cell = "";
      index += 1;
      while (true) {
        const quote = line.indexOf('"', index);
        if (quote === -1) return wrong("a quote is not closed");
        cell += line.slice(index, quote);
        index = quote + 1;
        if (line[index] !== '"') break;
        cell += '"';
        index += 1;
      }
      if (index < line.length && line[index] !== ",") {
        return wrong("text follows a closing quote");
      }
      cells.push(cell);
    } else {
      const comma = line.indexOf(",", index);
      const end = comma === -1 ? line.length : comma;
      const cell = line.slice(index, end);
      if (cell.includes('"')) return wrong("a quote stands within a cell");
      cells.push(cell);
      index = end;
    }
    if (index >= line.length) return { cells, fault: undefined };
    index += 1;
  }
};
