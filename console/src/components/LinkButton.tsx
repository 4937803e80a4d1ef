import { Button, type ButtonProps } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'wouter';

/** A link that looks like a button, because it is the thing to do next. */
export function LinkButton({ href, children, onClick, ...rest }: ButtonProps & { href: string; children: ReactNode; onClick?: () => void }) {
  return (
    <Button component={Link} href={href} onClick={onClick} {...rest}>
      {children}
    </Button>
  );
}
