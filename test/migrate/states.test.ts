import { readFile } from 'node:fs/promises';
import t from 'tap';
import { DESTINATION_TABLE, nextDestination, type DestinationPhase } from '../../src/migrate/destination-states.js';
import { SOURCE_TABLE, nextSource, type SourceEvent, type SourcePhase } from '../../src/migrate/source-states.js';
import { drawTable } from '../../src/migrate/table.js';

const error = { code: 'E_TEST', message: 'test' };
const final = { icount: 7, registers: 'aa', devices: 'bb' };

/** A phase of each kind. */
const sources: SourcePhase[] = [
  { at: 'connecting' },
  { at: 'offering' },
  { at: 'arming' },
  { at: 'shipping' },
  { at: 'catching-up' },
  { at: 'draining', ready: null },
  { at: 'awaiting-ready', final },
  { at: 'fencing', lost: null, asked: false },
  { at: 'relinquishing', linked: true, declined: null, asked: false },
  { at: 'relinquished' },
  { at: 'reclaiming', error },
  { at: 'returning', error, outcome: 'failed', asked: true },
  { at: 'aborted', error },
  { at: 'failed', error },
  { at: 'retired' },
  { at: 'unresolved', error },
];
const source = (at: SourcePhase['at']): SourcePhase => sources.find((phase) => phase.at === at)!;
const events: SourceEvent[] = [
  ...(['connected', 'accepted', 'armed', 'baseSent', 'handover', 'fenced'] as const).map((type) => ({ type })),
  ...(['journaled', 'live', 'asked', 'returned'] as const).map((type) => ({ type })),
  ...(['drained', 'ready'] as const).map((type) => ({ type, final })),
  ...(['refused', 'journalRefused', 'journalUnknown', 'declined', 'peerAborted'] as const).map((type) => ({
    type,
    error,
  })),
  ...(['peerGone', 'cancel', 'failed', 'machineGone'] as const).map((type) => ({ type, error })),
];

t.test('every event in every phase of the source is followed or refused, and changes no input', (t) => {
  t.strictSame(sources.map(({ at }) => at).sort(), Object.keys(SOURCE_TABLE).sort(), 'all phases are tried');
  for (const phase of sources) {
    for (const event of events) {
      const before = JSON.stringify(phase);
      const { phase: after, effects, refused } = nextSource(phase, event);
      if (JSON.stringify(phase) !== before) t.fail(`${event.type} changed the phase ${phase.at} that it was given`);
      if (refused === null) continue;
      if (after !== phase || effects.length > 0) t.fail(`a refused ${event.type} did something to ${phase.at}`);
    }
  }
  t.end();
});

t.test('an undisturbed migration goes through all phases in their order', (t) => {
  let phase: SourcePhase = { at: 'connecting' };
  const effects: string[] = [];
  const course = [
    'connected',
    'accepted',
    'armed',
    'baseSent',
    'handover',
    'drained',
    'ready',
    'fenced',
    'journaled',
    'live',
  ];
  for (const type of course) {
    const next = nextSource(
      phase,
      events.find((event) => event.type === type)!,
    );
    t.equal(next.refused, null, `${type} while ${phase.at}`);
    phase = next.phase;
    effects.push(...next.effects.map((effect) => ('state' in effect ? `${effect.do}:${effect.state}` : effect.do)));
  }
  t.equal(phase.at, 'retired');
  const handover = ['journal:draining', 'finish', 'fence', 'journal:relinquished', 'sendCommit', 'journal:retired'];
  t.strictSame(
    effects.filter((effect) => handover.includes(effect)),
    handover,
  );
  t.end();
});

t.test('cancel is refused from the fence on, and says so', (t) => {
  for (const at of ['fencing', 'relinquishing', 'relinquished', 'reclaiming', 'retired'] as const) {
    t.match(nextSource(source(at), { type: 'cancel', error }).refused, { code: 'E_TOO_LATE', facts: { phase: at } });
  }
  t.equal(nextSource(source('awaiting-ready'), { type: 'cancel', error }).phase.at, 'returning');
  t.end();
});

t.test('a commit leaves only when the journal has been written', (t) => {
  for (const phase of sources) {
    for (const event of events) {
      const next = nextSource(phase, event);
      if (!next.effects.some((effect) => effect.do === 'sendCommit')) continue;
      t.equal(next.phase.at, 'relinquished');
      t.ok(phase.at === 'relinquished' || event.type === 'journaled', `${event.type} while ${phase.at}`);
    }
  }
  t.end();
});

t.test('events without a place are refused: ready while shipping, live while draining, drained while offering', (t) => {
  const refusals = [
    ['shipping', { type: 'ready', final }],
    ['draining', { type: 'live' }],
    ['offering', { type: 'drained', final }],
    ['catching-up', { type: 'fenced' }],
  ] as const;
  for (const [at, event] of refusals) {
    t.match(nextSource(source(at), event).refused, { code: 'E_ILLEGAL_EVENT' }, `${event.type} while ${at}`);
  }
  t.end();
});

t.test('a destination that arrives elsewhere gets nothing, whether it says so before or after our own tracer', (t) => {
  for (const other of [{ registers: 'x' }, { devices: 'x' }, { icount: 8 }]) {
    const ready = { type: 'ready', final: { ...final, ...other } } as const;
    t.match(nextSource(source('awaiting-ready'), ready).phase, { at: 'returning', error: { code: 'E_DIVERGED' } });
    const early = nextSource(source('draining'), ready).phase;
    t.match(nextSource(early, { type: 'drained', final }).phase, { at: 'returning', error: { code: 'E_DIVERGED' } });
  }
  const early = nextSource(source('draining'), { type: 'ready', final }).phase;
  t.equal(nextSource(early, { type: 'drained', final }).phase.at, 'fencing');
  t.end();
});

t.test('a fence that may have taken is undone with reclaim', (t) => {
  const failed = nextSource(source('fencing'), { type: 'failed', error });
  t.strictSame(failed.effects, [{ do: 'giveBack', undo: 'reclaim' }]);
  const lost = nextSource(source('fencing'), { type: 'peerGone', error }).phase;
  t.strictSame(nextSource(lost, { type: 'fenced' }).effects, [{ do: 'giveBack', undo: 'reclaim' }]);
  t.end();
});

t.test(
  'a destination is told "the source holds it" only by one that gives nothing away any more, once the guest is back',
  (t) => {
    for (const phase of sources) {
      for (const event of events) {
        const { phase: after, effects } = nextSource(phase, event);
        if (!effects.some((effect) => effect.do === 'sendAnswer' && effect.holder === 'source')) continue;
        t.ok(['aborted', 'failed'].includes(after.at), `${event.type} while ${phase.at}`);
      }
    }
    for (const at of ['arming', 'shipping', 'catching-up', 'draining', 'awaiting-ready', 'returning'] as const) {
      const asked = nextSource(source(at), { type: 'asked' }).phase;
      t.match(asked, { at: 'returning', asked: true });
      t.match(nextSource(asked, { type: 'machineGone', error }).effects, [], 'silence, when the guest is lost');
      const answer = { do: 'sendAnswer', holder: 'source' };
      t.match(nextSource(asked, { type: 'returned' }).effects[1], answer, 'after the journal says returned');
    }
    t.end();
  },
);

t.test('the destination goes live only after its journal, and a lost link makes it ask, not guess', (t) => {
  const ready: DestinationPhase = { at: 'ready' };
  const asking = nextDestination(ready, { type: 'peerGone', error });
  t.match(asking, { phase: { at: 'asking', machine: 'ready' }, effects: [{ do: 'ask' }] });
  t.match(nextDestination(asking.phase, { type: 'answer', holder: 'unknown' }).phase, { at: 'asking' });
  t.match(nextDestination(asking.phase, { type: 'answer', holder: 'source' }).phase, { at: 'discarded' });
  const taking = nextDestination(asking.phase, { type: 'answer', holder: 'destination' });
  t.match(taking, { phase: { at: 'taking' }, effects: [{ do: 'journal', state: 'owner' }] });
  t.match(nextDestination(taking.phase, { type: 'journaled' }), {
    phase: { at: 'owner' },
    effects: [{ do: 'goLive' }],
  });
  t.match(nextDestination({ at: 'replaying' }, { type: 'commit' }).refused, { code: 'E_ILLEGAL_EVENT' });
  t.match(nextDestination({ at: 'owner' }, { type: 'cancel', error }).refused, { code: 'E_TOO_LATE' });
  t.end();
});

t.test('a destination whose QEMU dies after ready declines, so that the source can take the guest back', (t) => {
  const declining = nextDestination({ at: 'ready' }, { type: 'machineGone', error });
  t.match(declining, { phase: { at: 'declining' }, effects: [{ do: 'journal', state: 'declined' }] });
  const declined = nextDestination(declining.phase, { type: 'journaled' });
  t.match(declined.effects, [{ do: 'sendDeclined' }, { do: 'discard' }]);
  t.match(nextSource(source('relinquished'), { type: 'declined', error }), {
    phase: { at: 'reclaiming' },
    effects: [{ do: 'journal', state: 'reclaimed' }],
  });
  t.end();
});

t.test('docs/protocol.md draws the tables as they are', async (t) => {
  const page = await readFile(new URL('../../../docs/protocol.md', import.meta.url), 'utf8').catch(() =>
    readFile('docs/protocol.md', 'utf8'),
  );
  const drawings = [...page.matchAll(/```mermaid\n([\s\S]*?)\n```/g)].map((match) => match[1]);
  t.equal(drawings[0], drawTable(SOURCE_TABLE, 'connecting'));
  t.equal(drawings[1], drawTable(DESTINATION_TABLE, 'offered'));
});
