import { TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useState } from 'react';
import { useLocation } from 'wouter';

import { Failure } from '../../components/Failure';
import { IconSearch } from '../../components/icons';
import { StateMark } from '../../components/StateMark';
import { TimeAgo } from '../../components/TimeAgo';
import { duration } from '../../lib/format';
import { useQueries } from '../../services/hooks';
import { isOwn } from '../../services/own';
import { openSql } from '../../services/tabs';
import classes from './Side.module.css';

const ASKED = 300;

/** What ran before, by any way; a click opens its text in a tab. */
export function SideHistory() {
  const [text, setText] = useState('');
  const [search] = useDebouncedValue(text, 250);
  const [, navigate] = useLocation();
  const queries = useQueries(ASKED, search);
  const shown = queries.data?.filter((query) => !isOwn(query));
  return (
    <>
      <div className={classes.filter}>
        <TextInput value={text} onChange={(event) => setText(event.currentTarget.value)} placeholder="Search statements" aria-label="Search statements" leftSection={<IconSearch size={15} />} />
      </div>
      {queries.error && <Failure error={queries.error} onRetry={() => void queries.refetch()} />}
      <ul className={classes.list}>
        {shown?.length === 0 && <li className={classes.none}>{search ? `No statement contains “${search}”.` : 'Nothing has run yet.'}</li>}
        {shown?.map((query) => (
          <li key={query.query_id}>
            <button type="button" className={`${classes.item} ${classes.block}`} onClick={() => navigate(openSql(query.sql))} title={query.sql}>
              <code className="ellipsis">{query.sql.replace(/\s+/g, ' ')}</code>
              <p className="quiet small num">
                <StateMark state={query.state} />
                <span>{duration(query.elapsed_ms)}</span>
                <TimeAgo time={query.started_at} />
                <span className="ellipsis">{query.user}</span>
              </p>
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}
