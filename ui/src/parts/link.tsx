import type { CSSProperties, MouseEvent, ReactNode } from "react";
import { type Changes, go, hrefOf, linkParams, usePlace } from "../app/url";

interface Props {
  to: string;
  params?: Changes;
  className?: string;
  title?: string;
  style?: CSSProperties;
  current?: boolean;
  children: ReactNode;
}

/** A link inside the UI: keeps the time range, opens in a new tab as any link does. */
export function Link({ to, params = {}, current, children, ...rest }: Props) {
  const place = { path: to, params: linkParams(usePlace().params, params) };
  const follow = (event: MouseEvent) => {
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!isPlain) return;
    event.preventDefault();
    go(place);
    window.scrollTo(0, 0);
  };
  return (
    <a href={hrefOf(place)} onClick={follow} aria-current={current ? "page" : undefined} {...rest}>
      {children}
    </a>
  );
}
