import { Button } from '@mantine/core';

import { useCopy } from '../../../components/CopyButton';
import { IconCheck, IconCopy } from '../../../components/icons';
import { type Explained, type PlanText, wholeText } from '../../../lib/explain';
import { PlanTree } from './PlanTree';
import classes from './PlanView.module.css';

/** What EXPLAIN said: the plan as a tree, or all of it as text. */
export function PlanView({ explained, as }: { explained: Explained; as: 'plan' | 'text' }) {
  const { plan, change, texts } = explained;
  if (as === 'plan' && plan) return <PlanTree plan={plan} change={change} />;
  return <Text texts={texts} />;
}

function Text({ texts }: { texts: PlanText[] }) {
  const [copied, copy] = useCopy();
  if (texts.length === 0) return null;
  return (
    <div className={classes.text}>
      <Button className={classes.copy} variant="default" size="compact-sm" leftSection={copied ? <IconCheck size={15} /> : <IconCopy size={15} stroke={1.7} />} onClick={() => copy(wholeText(texts))}>
        {copied ? 'Copied' : 'Copy'}
      </Button>
      <div className={classes.scroller} tabIndex={0} role="region" aria-label="Plan as text">
        {texts.map((item, index) => (
          <section key={index} aria-label={item.kind}>
            <h2 className={classes.kind}>{item.kind.replaceAll('_', ' ')}</h2>
            <pre>{item.text.replace(/\n+$/, '')}</pre>
          </section>
        ))}
      </div>
    </div>
  );
}
