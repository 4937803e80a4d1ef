import type { QueryRecord } from './types';

/** Stands before the statements that the console runs by itself (samples, cards, completion), so that lists of what people ran can leave them out. */
export const OWN_MARK = '/* console */ ';

/** The server asks too while it loads the demo. */
export const isOwn = (query: QueryRecord): boolean => query.sql.startsWith(OWN_MARK.trim()) || query.via === 'demo';
