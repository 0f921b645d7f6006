import { type FormEvent, useState } from "react";
import { fetchOperations, fetchServices, parseTags } from "../api/jaeger";
import { useApp } from "../app/context";
import { go, linkParams, setParams, usePlace } from "../app/url";
import { useQuery } from "../app/use-query";
import type { TextKey } from "../i18n";
import { Icon } from "../parts/icons";
import { parseDuration } from "../units/format";

const LIMITS = [20, 50, 100, 200, 500, 1000];
/** 16 or 32 hex digits, the two widths of trace ids. */
const TRACE_ID = /^[0-9a-fA-F]{16}([0-9a-fA-F]{16})?$/;

/** `params` = what is searched now. The form starts from it and writes it back when sent. */
export function SearchForm({ params, limitDefault }: { params: URLSearchParams; limitDefault: number }) {
  const { t, refresh } = useApp();
  const [form, setForm] = useState(() => ({
    service: params.get("service") ?? "",
    operation: params.get("operation") ?? "",
    tags: params.get("tags") ?? "",
    min: params.get("min") ?? "",
    max: params.get("max") ?? "",
    limit: params.get("limit") ?? String(limitDefault),
  }));
  const set = (name: keyof typeof form) => (event: { target: { value: string } }) =>
    setForm({ ...form, [name]: event.target.value });
  const wrong = problems(form);
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (Object.keys(wrong).length > 0) return;
    setParams({ ...form, limit: form.limit === String(limitDefault) ? undefined : form.limit });
    refresh();
  };
  return (
    <section className="panel search">
      <form onSubmit={send} className="search-form">
        <ServiceFields
          service={form.service}
          operation={form.operation}
          setService={(service) => setForm({ ...form, service, operation: "" })}
          setOperation={(operation) => setForm({ ...form, operation })}
        />
        <Text
          label="traces.tags"
          className="tags-field"
          value={form.tags}
          hint={t("traces.tags.hint")}
          wrong={wrong.tags}
          onChange={set("tags")}
        />
        <Text label="traces.min" value={form.min} hint="100ms" wrong={wrong.min} onChange={set("min")} />
        <Text label="traces.max" value={form.max} hint="2s" wrong={wrong.max} onChange={set("max")} />
        <label className="field">
          <span>{t("traces.limit")}</span>
          <select className="input" value={form.limit} onChange={set("limit")}>
            {[...new Set([...LIMITS, Number(form.limit) || limitDefault])]
              .sort((a, b) => a - b)
              .map((n) => (
                <option key={n}>{n}</option>
              ))}
          </select>
        </label>
        <button type="submit" className="button primary">
          <Icon name="search" size={14} />
          {t("traces.find")}
        </button>
      </form>
      <IdForm />
    </section>
  );
}

function problems(form: { tags: string; min: string; max: string }): Partial<Record<"tags" | "min" | "max", TextKey>> {
  const found: Partial<Record<"tags" | "min" | "max", TextKey>> = {};
  if (parseTags(form.tags) === null) found.tags = "traces.tags.bad";
  for (const name of ["min", "max"] as const) {
    if (form[name] !== "" && parseDuration(form[name]) === null) found[name] = "traces.duration.bad";
  }
  return found;
}

interface TextProps {
  label: TextKey;
  value: string;
  hint: string;
  wrong: TextKey | undefined;
  className?: string;
  onChange: (event: { target: { value: string } }) => void;
}

function Text({ label, value, hint, wrong, className = "", onChange }: TextProps) {
  const { t } = useApp();
  return (
    <label className={`field ${className}`}>
      <span>{t(label)}</span>
      <input
        className="input"
        value={value}
        placeholder={hint}
        aria-invalid={wrong !== undefined}
        onChange={onChange}
        spellCheck={false}
      />
      {wrong ? (
        <span className="field-error" role="alert">
          {t(wrong)}
        </span>
      ) : null}
    </label>
  );
}

interface ServiceProps {
  service: string;
  operation: string;
  setService: (service: string) => void;
  setOperation: (operation: string) => void;
}

function ServiceFields({ service, operation, setService, setOperation }: ServiceProps) {
  const { t, range } = useApp();
  const services = useQuery("services", range, fetchServices);
  const operations = useQuery(service === "" ? null : service, 0, (signal) => fetchOperations(service, signal));
  const hasNone = services.data?.length === 0;
  return (
    <>
      <label className="field">
        <span>{t("traces.service")}</span>
        <select
          className="input"
          value={service}
          title={hasNone ? t("traces.none") : undefined}
          onChange={(event) => setService(event.target.value)}
        >
          <option value="">{t("traces.any")}</option>
          {withChosen(services.data ?? [], service).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <label className="field operation-field">
        <span>{t("traces.operation")}</span>
        <select
          className="input"
          value={operation}
          disabled={service === ""}
          onChange={(event) => setOperation(event.target.value)}
        >
          <option value="">{t("traces.any")}</option>
          {withChosen(operations.data ?? [], operation).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
    </>
  );
}

/** The names, and the chosen one even before (or though) the server does not list it. */
function withChosen(names: string[], chosen: string): string[] {
  return chosen === "" || names.includes(chosen) ? [...names].sort() : [...names, chosen].sort();
}

function IdForm() {
  const { t } = useApp();
  const { params } = usePlace();
  const [id, setId] = useState("");
  const isId = TRACE_ID.test(id.trim());
  const open = (event: FormEvent) => {
    event.preventDefault();
    if (isId) go({ path: `/traces/${id.trim().toLowerCase()}`, params: linkParams(params, {}) });
  };
  return (
    <form onSubmit={open} className="id-form">
      <label className="field">
        <span>{t("traces.byid")}</span>
        <input
          className="input mono"
          value={id}
          placeholder="4bf92f3577b34da6a3ce929d0e0e4736"
          spellCheck={false}
          onChange={(event) => setId(event.target.value)}
        />
      </label>
      <button type="submit" className="button" disabled={!isId}>
        {t("traces.open")}
      </button>
    </form>
  );
}
