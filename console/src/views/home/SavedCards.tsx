import { Link } from 'wouter';

import { Chart } from '../../components/chart/Chart';
import { ResultPeek } from '../../components/ResultPeek';
import { Failure } from '../../components/Failure';
import { Skeleton } from '../../components/Skeleton';
import { links } from '../../lib/link';
import { fits } from '../../lib/suggest';
import { useSavedQueries } from '../../services/hooks';
import type { SavedQuery } from '../../services/types';
import { useAnswer } from '../../services/useAnswer';
import classes from './Home.module.css';

const CARD_ROWS_MAX = 2_000;
const CARDS_MAX = 9;

/** Saved queries with their charts. Each loads, and fails, by itself. */
export function SavedCards() {
  const saved = useSavedQueries();
  if (saved.error) return <Failure error={saved.error} what="The saved queries could not be read" onRetry={() => void saved.refetch()} />;
  if (saved.data?.length === 0) return null;
  return (
    <section aria-labelledby="saved">
      <h2 id="saved">Saved queries</h2>
      <div className={classes.cards}>
        {saved.data ? saved.data.slice(0, CARDS_MAX).map((query) => <Card key={query.id} query={query} />) : [0, 1, 2].map((place) => <Skeleton key={place} height={286} className={classes.cardSkeleton} />)}
      </div>
    </section>
  );
}

function Card({ query }: { query: SavedQuery }) {
  const answer = useAnswer(['answer', query.id, query.updated_at], query.sql, CARD_ROWS_MAX);
  return (
    <article className={classes.card}>
      <h3 className="ellipsis">
        <Link href={links.savedQuery(query.id)} className={classes.cover}>
          {query.name}
        </Link>
      </h3>
      <p className={`ellipsis quiet small ${classes.about}`}>{query.description || query.owner}</p>
      <div className={classes.picture}>
        {answer.error ? (
          <Failure error={answer.error} onRetry={() => void answer.refetch()} />
        ) : answer.data ? (
          query.chart && query.chart.kind !== 'table' && fits(query.chart, answer.data.result.columns) ? (
            <Chart result={answer.data.result} spec={query.chart} small />
          ) : (
            <ResultPeek result={answer.data.result} />
          )
        ) : (
          <Skeleton height="100%" />
        )}
      </div>
    </article>
  );
}
