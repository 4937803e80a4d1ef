import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, closeCompletion, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { bracketMatching, indentUnit } from '@codemirror/language';
import { lintKeymap, setDiagnostics } from '@codemirror/lint';
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search';
import { Compartment, EditorState, Prec } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, highlightSpecialChars, keymap, lineNumbers, placeholder } from '@codemirror/view';
import { type Ref, useEffect, useImperativeHandle, useRef } from 'react';

import { offsetAt, statementAt, wordAt } from '../../lib/sql';
import type { ApiError } from '../../services/client';
import { sqlLanguage, useCompletions } from './completion';
import { editorTheme } from './editorTheme';
import classes from './Editor.module.css';

export interface EditorHandle {
  /** Runs the selection, or the statement under the cursor. */
  run: () => void;
  insert: (text: string) => void;
}

interface Props {
  value: string;
  /** The error of the last run: of which text, and where that text began. */
  error: { error: ApiError; offset: number; sql: string } | null;
  onChange: (sql: string) => void;
  onRun: (sql: string, offset: number) => void;
  onCancel: () => void;
  ref?: Ref<EditorHandle>;
}

function toRun(state: EditorState): { sql: string; offset: number } | null {
  const { from, to, empty, head } = state.selection.main;
  if (!empty) return { sql: state.sliceDoc(from, to), offset: from };
  const found = statementAt(state.doc.toString(), head);
  return found ? { sql: found.text, offset: found.from } : null;
}

export function Editor({ value, error, onChange, onRun, onCancel, ref }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const language = useRef(new Compartment());
  const completions = useCompletions();
  // The editor lives longer than one render; it calls what the last render gave.
  const calls = useRef({ onChange, onRun, onCancel });
  useEffect(() => {
    calls.current = { onChange, onRun, onCancel };
  });

  useImperativeHandle(ref, () => ({
    run: () => {
      const piece = view.current && toRun(view.current.state);
      if (piece) calls.current.onRun(piece.sql, piece.offset);
    },
    insert: (text) => {
      const editor = view.current;
      if (!editor) return;
      editor.dispatch(editor.state.replaceSelection(text));
      editor.focus();
    },
  }));

  useEffect(() => {
    const parent = holder.current;
    if (!parent) return;
    const keys = Prec.highest(
      keymap.of([
        {
          key: 'Mod-Enter',
          run: (target) => {
            closeCompletion(target);
            const piece = toRun(target.state);
            if (piece) calls.current.onRun(piece.sql, piece.offset);
            return true;
          },
        },
        { key: 'Mod-Shift-Enter', run: ({ state }) => (calls.current.onRun(state.doc.toString(), 0), true) },
        { key: 'Escape', run: () => (calls.current.onCancel(), false) },
        { key: 'Tab', run: acceptCompletion },
      ]),
    );
    const editor = new EditorView({
      parent,
      state: EditorState.create({
        doc: value,
        selection: { anchor: value.length },
        extensions: [
          keys,
          lineNumbers(),
          highlightSpecialChars(),
          history(),
          drawSelection(),
          indentUnit.of('  '),
          bracketMatching(),
          closeBrackets(),
          autocompletion({ icons: false, maxRenderedOptions: 60 }),
          highlightActiveLine(),
          highlightSelectionMatches(),
          keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap, indentWithTab]),
          language.current.of(sqlLanguage(null)),
          editorTheme,
          placeholder('SELECT …   Ctrl-Enter runs, Ctrl-Space completes'),
          EditorView.contentAttributes.of({ 'aria-label': 'SQL editor', 'aria-describedby': 'editor-help', tabindex: '0' }),
          EditorView.updateListener.of((update) => {
            if (!update.docChanged) return;
            calls.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    editor.focus();
    return () => {
      editor.destroy();
      view.current = null;
    };
    // The editor is made once for a tab; a later value comes from itself.
  }, []);

  useEffect(() => {
    view.current?.dispatch({ effects: language.current.reconfigure(sqlLanguage(completions)) });
  }, [completions]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    if (!error || error.error.line === null) {
      editor.dispatch(setDiagnostics(editor.state, []));
      return;
    }
    const at = error.offset + offsetAt(error.sql, error.error.line, error.error.column ?? 1);
    const { from, to } = wordAt(editor.state.doc.toString(), at);
    const message = error.error.hint ? `${error.error.message}\n${error.error.hint}` : error.error.message;
    editor.dispatch(setDiagnostics(editor.state, [{ from, to, severity: 'error', message }]), { effects: EditorView.scrollIntoView(from) });
  }, [error?.error]);

  return (
    <>
      <div ref={holder} className={classes.editor} />
      <span id="editor-help" className="hidden-visually">
        Control Enter runs the statement under the cursor. Press Escape, then Tab, to leave the editor.
      </span>
    </>
  );
}
