// Address → page.
import { ExplorePage } from "../pages/explore";
import { HomePage } from "../pages/home";
import { MapPage } from "../pages/map";
import { StatusPage } from "../pages/status";
import { TracePage } from "../pages/trace";
import { TracesPage } from "../pages/traces";
import { Empty } from "../parts/states";
import { useApp } from "./context";
import { Page, Shell } from "./shell";
import { segmentAfter, usePlace } from "./url";

export function App() {
  return (
    <Shell>
      <CurrentPage />
    </Shell>
  );
}

function CurrentPage() {
  const { path } = usePlace();
  const traceId = segmentAfter("/traces", path);
  if (traceId !== null) return <TracePage key={traceId} id={traceId} />;
  switch (path) {
    case "/":
      return <HomePage />;
    case "/map":
      return <MapPage />;
    case "/traces":
      return <TracesPage />;
    case "/explore":
      return <ExplorePage />;
    case "/status":
      return <StatusPage />;
    default:
      return <NotFound />;
  }
}

function NotFound() {
  const { t } = useApp();
  return (
    <Page title={t("app.notfound")} range={false}>
      <Empty title={t("app.notfound")}>{t("app.notfound.do")}</Empty>
    </Page>
  );
}
