/** Bars of one small series, the last at the right. Decoration: the number stands beside it. */
export function SparkBars({
  values,
  width = 120,
  height = 24,
}: {
  values: (number | null)[];
  width?: number;
  height?: number;
}) {
  const max = Math.max(...values.map((value) => value ?? 0), 0);
  if (max <= 0) return <span className="muted">–</span>;
  const step = width / values.length;
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true" className="spark">
      {values.map((value, i) => {
        const h = value === null || value <= 0 ? 0 : Math.max(1.5, (value / max) * (height - 2));
        return <rect key={i} x={i * step} y={height - h} width={Math.max(1, step - 1)} height={h} rx="0.5" />;
      })}
    </svg>
  );
}
