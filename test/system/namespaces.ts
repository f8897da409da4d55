// Whether this machine lets tests make hosts of their own out of namespaces: root in a container may not.
import { execFileSync } from 'node:child_process';

/** Why there can be no such hosts here; false when there can. For tap's `skip`. */
export const withoutNamespaces: string | false = ((): string | false => {
  try {
    execFileSync('unshare', ['--net', '--pid', '--mount', '--fork', '--mount-proc', 'ip', 'link', 'set', 'lo', 'up'], {
      stdio: 'ignore',
    });
    return false;
  } catch {
    return 'needs root, namespaces and iproute2';
  }
})();
