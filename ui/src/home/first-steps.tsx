import { useApp } from "../app/context";
import type { TextKey } from "../i18n";
import { Empty } from "../parts/states";

/** What to type so that this page has something to say. The addresses are this server's own. */
export function FirstSteps() {
  const { t } = useApp();
  const { hostname } = window.location;
  const steps: [TextKey, string][] = [
    ["home.empty.demo", "eino demo"],
    ["home.empty.otlp", `export OTEL_EXPORTER_OTLP_ENDPOINT=http://${hostname}:4318`],
    [
      "home.empty.scrape",
      "scrape_configs:\n  - job_name: my-service\n    static_configs:\n      - targets: ['localhost:8080']",
    ],
  ];
  return (
    <section className="panel first-steps">
      <Empty title={t("home.empty")}>{t("home.empty.do")}</Empty>
      <div className="steps">
        {steps.map(([key, text]) => (
          <figure key={key}>
            <figcaption className="muted">{t(key)}</figcaption>
            <pre className="code">{text}</pre>
          </figure>
        ))}
      </div>
    </section>
  );
}
