/** Says below which of the values a share of them lies. */
export const quantiles = (values: ReadonlyArray<number>) => {
  const sorted = Float64Array.from(values).sort();
  return (share: number): number =>
    sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
};
