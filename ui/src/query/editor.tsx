// The PromQL editor: highlighting, completion from this server's own names, checks while typing. A lazy chunk.
//   Enter runs · Shift-Enter breaks the line · Ctrl-Space completes
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { useEffect, useRef } from "react";

interface Props {
  value: string;
  label: string;
  /** Called at each change of the text. */
  onChange: (text: string) => void;
  onRun: (text: string) => void;
}

const highlight = HighlightStyle.define([
  { tag: [tags.name, tags.variableName], color: "var(--text)" },
  { tag: [tags.keyword, tags.function(tags.variableName), tags.operatorKeyword, tags.modifier], color: "var(--c3)" },
  { tag: tags.labelName, color: "var(--c6)" },
  { tag: tags.string, color: "var(--c1)" },
  { tag: [tags.number, tags.literal], color: "var(--c2)" },
  { tag: tags.comment, color: "var(--muted)", fontStyle: "italic" },
  { tag: tags.invalid, color: "var(--hot)" },
]);

const look = EditorView.theme({
  "&": { fontSize: "13.5px" },
  "&.cm-focused": { outline: "none" },
  ".cm-content": { fontFamily: "var(--mono)", padding: "9px 0", caretColor: "var(--text)" },
  ".cm-line": { padding: "0 12px" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-selectionBackground, &.cm-focused .cm-selectionBackground": { background: "var(--accent-soft) !important" },
  ".cm-matchingBracket": { background: "var(--accent-soft)", outline: "1px solid var(--accent)" },
  ".cm-tooltip": {
    background: "var(--raised)",
    border: "1px solid var(--line)",
    borderRadius: "8px",
    boxShadow: "var(--shadow-pop)",
    overflow: "hidden",
  },
  ".cm-tooltip-autocomplete ul": { fontFamily: "var(--mono)", maxHeight: "18em" },
  ".cm-tooltip-autocomplete ul li": { padding: "3px 10px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--accent-soft)", color: "var(--text)" },
  ".cm-completionDetail": { color: "var(--muted)", marginLeft: "12px" },
  ".cm-completionMatchedText": { color: "var(--accent)", textDecoration: "none", fontWeight: "600" },
});

export default function Editor({ value, label, onChange, onRun }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const calls = useRef({ onChange, onRun });
  calls.current = { onChange, onRun };
  useEffect(() => {
    if (!box.current) return undefined;
    const editor = new EditorView({
      parent: box.current,
      state: EditorState.create({ doc: value, extensions: extensions(label, calls) }),
    });
    view.current = editor;
    return () => editor.destroy();
    // The editor owns its text from here on; the next effect brings changes from outside.
  }, []);
  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);
  return <div className="editor" ref={box} />;
}

function extensions(label: string, calls: React.RefObject<Pick<Props, "onChange" | "onRun">>) {
  const url = new URL(".", document.baseURI).href.replace(/\/$/, "");
  const promql = new PromQLExtension().setComplete({ remote: { url, httpMethod: "GET", cache: { maxAge: 60_000 } } });
  const run = (editor: EditorView) => {
    calls.current.onRun(editor.state.doc.toString());
    return true;
  };
  return [
    history(),
    bracketMatching(),
    closeBrackets(),
    autocompletion({ activateOnTyping: true, icons: false }),
    Prec.high(
      keymap.of([
        { key: "Enter", run },
        { key: "Mod-Enter", run },
        { key: "Shift-Enter", run: insertNewlineAndIndent },
      ]),
    ),
    // Above Enter = run: an open completion list takes Enter first.
    Prec.highest(keymap.of(completionKeymap)),
    keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap]),
    syntaxHighlighting(highlight),
    look,
    EditorView.lineWrapping,
    placeholder(label),
    EditorView.contentAttributes.of({ "aria-label": label }),
    EditorView.updateListener.of((update) => update.docChanged && calls.current.onChange(update.state.doc.toString())),
    promql.asExtension(),
  ];
}
