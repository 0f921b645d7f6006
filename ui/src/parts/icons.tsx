// Icons of one weight on a 16 px grid. They decorate: each stands beside a text or in a labelled button.
const PATHS = {
  services: "M2.5 4h11M2.5 8h7M2.5 12h9",
  map: "M4 5.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM12 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM5 14.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM5.8 4.4l4.4 2.4M4.2 5.5l.6 5M6.7 11.6l3.6-2.3",
  traces: "M2 3h8M4.5 6.3h7M7 9.6h5M9.5 13H14",
  explore: "M2 13.5V2.5M2 13.5h12M4.5 10l2.7-3.4 2.3 2L13 4",
  status: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM5.5 8.2l1.8 1.8 3.2-3.8",
  sun: "M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6ZM8 1.4v1.4M8 13.2v1.4M1.4 8h1.4M13.2 8h1.4M3.3 3.3l1 1M11.7 11.7l1 1M12.7 3.3l-1 1M4.3 11.7l-1 1",
  moon: "M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1Z",
  system: "M2 3.5h12v7.5H2zM5.5 13.5h5M8 11v2.5",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.8V8l2.2 1.6",
  refresh: "M13.3 6.5A5.6 5.6 0 0 0 3.4 5M2.7 9.5A5.6 5.6 0 0 0 12.6 11M3.2 2.4V5h2.6M12.8 13.6V11h-2.6",
  left: "M10 3.5 5.5 8l4.5 4.5",
  right: "M6 3.5 10.5 8 6 12.5",
  down: "M3.5 6 8 10.5 12.5 6",
  zoomout: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.6 10.6 14 14M4.8 7h4.4",
  warning: "M8 2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.1",
  flame:
    "M8 14.2c2.7 0 4.6-1.9 4.6-4.5 0-2-1.1-3.4-2.2-4.6-.3 1-.8 1.6-1.5 2C9 5 8.3 3 6.2 1.8c.1 2.2-2.8 4-2.8 7.6 0 2.9 1.9 4.8 4.6 4.8Z",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.6 10.6 14 14",
  play: "M4.5 3v10l8-5z",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  empty: "M2 9.5 4 3h8l2 6.5V13H2zM2 9.5h3.5L6.5 11h3l1-1.5H14",
  check: "M3 8.5 6.5 12 13 4.5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16, className }: { name: IconName; size?: number; className?: string }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      className={className}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
