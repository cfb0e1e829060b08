// The code editor: CodeMirror in a shadow root, where its styles are adopted sheets, which a strict policy allows.

import {
  EditorState,
  EditorView,
  HighlightStyle,
  MergeView,
  Prec,
  basicSetup,
  ensureSyntaxTree,
  indentUnit,
  indentWithTab,
  javascript,
  keymap,
  lintGutter,
  python,
  setDiagnostics,
  syntaxHighlighting,
  tags,
  unifiedMergeView,
  yaml,
} from "./vendor/codemirror/codemirror.js";

// Milliseconds that a text may take to be read; of one that takes more no error is shown.
const PARSE_MILLISECONDS = 200;

const MISTAKE = "From here on this seems to be no JavaScript; a deploy tells for certain";

// Pixels that two texts side by side need.
const SIDE_BY_SIDE = 640;

// Every colour is one of app.css; custom properties reach into a shadow root, and so the editor follows the theme.
const LOOK = EditorView.theme({
  "&": { height: "100%", color: "var(--text)", backgroundColor: "var(--surface)", fontSize: "0.8438rem" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--accent)", padding: "0.5rem 0" },
  ".cm-cursor": { borderLeftColor: "var(--accent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--accent) 26%, transparent)",
  },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--muted)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--accent) 6%, transparent)" },
  ".cm-activeLineGutter": { backgroundColor: "var(--hover)", color: "var(--text)" },
  ".cm-panel.cm-search": { padding: "0.5rem 2rem 0.5rem 0.75rem", fontFamily: "var(--sans)", fontSize: "0.875rem" },
  ".cm-panel.cm-search input, .cm-panel.cm-search button, .cm-panel.cm-search label": {
    fontSize: "inherit",
    borderRadius: "5px",
  },
  ".cm-panels, .cm-tooltip": { backgroundColor: "var(--raised)", color: "var(--text)", borderColor: "var(--line)" },
  ".cm-tooltip": { border: "1px solid var(--line)", borderRadius: "6px", boxShadow: "var(--shadow-high)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-textfield": { backgroundColor: "var(--surface)", borderColor: "var(--line-strong)", color: "var(--text)" },
  ".cm-button": {
    backgroundImage: "none",
    backgroundColor: "var(--hover)",
    borderColor: "var(--line-strong)",
    color: "var(--text)",
  },
  ".cm-foldPlaceholder": { backgroundColor: "var(--idle-soft)", borderColor: "var(--line)", color: "var(--muted)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "color-mix(in srgb, var(--accent) 22%, transparent)" },
  ".cm-selectionMatch": { backgroundColor: "color-mix(in srgb, var(--accent) 14%, transparent)" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--warn)" },
  ".cm-changedLine, .cm-insertedLine": { backgroundColor: "var(--ok-soft) !important" },
  ".cm-deletedChunk, &.cm-merge-a .cm-changedLine": { backgroundColor: "var(--bad-soft) !important" },
  // Few fonts have the sign that CodeMirror puts there.
  ".cm-collapsedLines": {
    background: "var(--idle-soft)",
    color: "var(--muted)",
    "&:before, &:after": { content: '"…"' },
  },
});

const COLOURS = syntaxHighlighting(
  HighlightStyle.define([
    { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: "var(--busy)" },
    { tag: [tags.string, tags.special(tags.string)], color: "var(--ok)" },
    { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--warn)" },
    { tag: [tags.comment, tags.meta], color: "var(--muted)", fontStyle: "italic" },
    {
      tag: [tags.function(tags.definition(tags.variableName)), tags.definition(tags.className)],
      color: "var(--accent)",
      fontWeight: "600",
    },
    {
      tag: [tags.propertyName, tags.definition(tags.propertyName), tags.function(tags.variableName)],
      color: "var(--accent)",
    },
    { tag: tags.invalid, color: "var(--bad)" },
  ]),
);

const LANGUAGES = {
  python: () => [python(), indentUnit.of("    ")],
  javascript: () => [javascript(), indentUnit.of("  ")],
  json: () => [javascript(), indentUnit.of("  ")],
  yaml: () => [yaml(), indentUnit.of("  ")],
  text: () => [],
};

/**
 * Open an editor in an element of class `editor-host`.
 *
 * Tab indents; Escape, then Tab leaves the editor. `onSave` is Ctrl-S. Returns what reads, changes and marks its text;
 * a problem is {line, column, message, severity}, the line counted from 1.
 */
export function openEditor(
  host,
  { text = "", language = "python", readonly = false, label = "Code", onChange, onSave } = {},
) {
  const view = new EditorView({ ...mount(host), state: EditorState.create({ doc: text, extensions: extensions() }) });

  function extensions() {
    const save = { key: "Mod-s", preventDefault: true, run: () => (onSave?.(view.state.doc.toString()), true) };
    return [
      ...common({ language, readonly, label }),
      lintGutter(),
      Prec.highest(keymap.of([save])),
      keymap.of([indentWithTab]),
      EditorView.updateListener.of((update) => update.docChanged && onChange?.(update.state.doc.toString())),
    ];
  }

  return {
    text: () => view.state.doc.toString(),
    setText: (value) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: value } }),
    setProblems: (problems) =>
      view.dispatch(
        setDiagnostics(
          view.state,
          [...problems, ...findSyntaxError(view.state, language)].map((problem) => locate(view.state.doc, problem)),
        ),
      ),
    focus: () => view.focus(),
    place: () => view.state.selection.main.head,
    goBack: (place) => {
      view.dispatch({ selection: { anchor: Math.min(place, view.state.doc.length) }, scrollIntoView: true });
      view.focus();
    },
    goTo: (number) => {
      const line = view.state.doc.line(Math.min(Math.max(number, 1), view.state.doc.lines));
      view.dispatch({ selection: { anchor: line.from }, scrollIntoView: true });
      view.focus();
    },
    close: () => view.destroy(),
  };
}

/** Show two texts side by side, or in one where that is too narrow, what differs in colour and what is the same folded away; nothing can be changed. */
export function openDiff(host, { before, after, language = "python", labels = ["Before", "After"] }) {
  const side = (doc, label) => ({ doc, extensions: common({ language, readonly: true, label }) });
  const folded = { collapseUnchanged: { margin: 3, minSize: 6 }, gutter: true };
  const place = mount(host);
  if (host.clientWidth >= SIDE_BY_SIDE) {
    const view = new MergeView({ ...place, ...folded, a: side(before, labels[0]), b: side(after, labels[1]) });
    return { close: () => view.destroy() };
  }
  const { doc, extensions } = side(after, labels.join(" and "));
  const unified = unifiedMergeView({ ...folded, original: before, mergeControls: false });
  const view = new EditorView({ ...place, state: EditorState.create({ doc, extensions: [extensions, unified] }) });
  return { close: () => view.destroy() };
}

function common({ language, readonly, label }) {
  return [
    basicSetup,
    LANGUAGES[language](),
    LOOK,
    COLOURS,
    EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
    readonly ? [EditorState.readOnly.of(true), EditorView.editable.of(false)] : [],
  ];
}

function mount(host) {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  root.replaceChildren();
  const parent = document.createElement("div");
  parent.style.height = "100%";
  root.append(parent);
  return { parent, root };
}

/**
 * Return the first place that is no JavaScript; other languages are read by the server.
 *
 * It is a warning: the parser takes a few things for mistakes that are none, such as a long list in braces.
 */
function findSyntaxError(state, language) {
  if (language !== "javascript") return [];
  const places = [];
  ensureSyntaxTree(state, state.doc.length, PARSE_MILLISECONDS)?.iterate({
    enter: ({ type, from }) => void (type.isError && places.push(from)),
  });
  return places.slice(0, 1).map((from) => {
    const line = state.doc.lineAt(from);
    return { line: line.number, column: from - line.from, message: MISTAKE, severity: "warning" };
  });
}

function locate(doc, { line = 1, column = 0, message, severity = "error" }) {
  const place = doc.line(Math.min(Math.max(line, 1), doc.lines));
  return { from: Math.min(place.from + column, place.to), to: place.to, severity, message };
}
