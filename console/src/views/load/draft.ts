import type { ColumnChoice, LoadMode, LoadOptions, LoadRequest, TablePreview } from '../../services/types';
import type { PreviewSource } from '../../services/api';

/** A person's corrections of what was found in a file. */
export interface Draft {
  options: LoadOptions;
  /** By the column's name in the file. */
  columns: Record<string, ColumnChoice>;
  table: string | null;
  mode: LoadMode;
  strict: boolean;
}

export const emptyDraft: Draft = { options: {}, columns: {}, table: null, mode: 'create', strict: false };

function choices(draft: Draft): ColumnChoice[] {
  return Object.values(draft.columns).filter((choice) => choice.skip || choice.name || choice.data_type);
}

/** What the server previews with: the reading options only. Types and names are shown as the person set them. */
export function previewOptions(draft: Draft): LoadOptions {
  return draft.options;
}

/** What is sent when the person says load. Several tables keep their proposed names. */
export function loadRequest(from: PreviewSource, draft: Draft, tables: TablePreview[]): LoadRequest {
  const source = 'upload_id' in from ? { upload_ids: [from.upload_id] } : { sources: [from.source] };
  const single = tables.length === 1 ? tables[0] : undefined;
  // Corrections of columns that another reading of the file has renamed are of no use any more.
  const columns = single ? choices(draft).filter((choice) => single.columns.some((column) => column.source === choice.source)) : [];
  return {
    ...source,
    into: single ? (draft.table ?? single.table) : undefined,
    mode: draft.mode,
    strict: draft.strict,
    options: { ...draft.options, ...(columns.length > 0 ? { columns } : {}) },
  };
}

/** Why a draft cannot be loaded yet, in words; `null` when it can. */
export function problem(draft: Draft, table: TablePreview): string | null {
  const kept = table.columns.filter((column) => !draft.columns[column.source]?.skip);
  if (kept.length === 0) return 'every column is left out; keep one at least';
  const names = new Map<string, string>();
  for (const column of kept) {
    const name = (draft.columns[column.source]?.name ?? column.name).trim();
    if (name === '') return `the column ${column.source} needs a name`;
    const before = names.get(name.toLowerCase());
    if (before !== undefined) return `two columns are called ${name}`;
    names.set(name.toLowerCase(), column.source);
  }
  if ((draft.table ?? table.table).trim() === '') return 'the table needs a name';
  return null;
}
