import { useLocation, useParams } from 'wouter';

import { LinkTabs } from '../../components/LinkTabs';
import { Page } from '../../components/Page';
import { links } from '../../lib/link';
import { About } from './About';
import { Account } from './Account';
import { Appearance } from './Appearance';
import { Tokens } from './Tokens';

const SECTIONS = [
  { id: 'account', name: 'Account', view: Account },
  { id: 'tokens', name: 'API tokens', view: Tokens },
  { id: 'appearance', name: 'Appearance', view: Appearance },
  { id: 'about', name: 'About', view: About },
];

export default function Settings() {
  const { section } = useParams<{ section?: string }>();
  const [, navigate] = useLocation();
  const shown = SECTIONS.find((item) => item.id === section) ?? SECTIONS[0];
  if (!shown) return null;
  return (
    <Page title="Settings" above={[{ name: 'Settings', href: '/settings' }]} name={shown.name} narrow>
      <LinkTabs label="Settings" tabs={SECTIONS} value={shown.id} onChange={(id) => navigate(links.settings(id))}>
        <shown.view />
      </LinkTabs>
    </Page>
  );
}
