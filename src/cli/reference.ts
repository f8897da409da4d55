// The CLI's reference, from the commands themselves: oclif's manifest, and a page for people. Built by scripts/cli-docs.mjs and
// compared with what is committed by a test.
// Invariant: nothing in either depends on the machine or the folder they were made on.
import { Plugin, type Command, type Interfaces } from '@oclif/core';

/** Reads every command by loading it, whatever an existing manifest says. */
export async function readCommands(root: string): Promise<Interfaces.Manifest> {
  const plugin = new Plugin({ root, ignoreManifest: true, errorOnManifestCreate: true, respectNoCacheDefault: true });
  await plugin.load();
  const manifest = JSON.parse(JSON.stringify(plugin.manifest)) as Interfaces.Manifest;
  const commands = Object.entries(manifest.commands).sort(([a], [b]) => (a < b ? -1 : 1));
  return { ...manifest, commands: Object.fromEntries(commands) };
}

const introduction = `# The command line

Every command takes \`--home DIR\` (or \`TRMIG_HOME\`): the state directory, \`~/.local/state/trmig\` when left out. Two of them on
one host are two hosts to trmig.

With \`--json\` everything a program reads is on stdout, one object a line. The last line is the result, or
\`{"error": {"code", "message", "hint", "facts"}}\` with a code of [errors.md](errors.md); lines before it are progress
(\`{"progress": …}\`, \`{"phase": …}\`). Without it results are text on stdout, errors and progress text on stderr. Quantities in
JSON are plain numbers with the unit in the field's name; 64-bit integers are decimal strings, bytes are hex.

The first Ctrl-C lets a command clean up and end; the second ends it at once. The exit code is 0, or the one of the error, or 1
where a command has bad news (\`doctor\`, \`log diff\`, \`verify\`). Colours appear on terminals only, and never with \`NO_COLOR\`.
`;

/** docs/cli.md. */
export function cliPage(manifest: Interfaces.Manifest): string {
  const commands = Object.values(manifest.commands);
  const index = commands.map(
    (command) => `| [\`${nameOf(command)}\`](#${anchorOf(command)}) | ${command.summary ?? ''} |`,
  );
  const table = ['| command | what it does |', '| --- | --- |', ...index].join('\n');
  return `${[introduction, table, ...commands.map(section)].join('\n\n')}\n`;
}

const nameOf = (command: Command.Cached): string => command.id.replaceAll(':', ' ');
const anchorOf = (command: Command.Cached): string => `trmig-${command.id.replaceAll(':', '-')}`;

function section(command: Command.Cached): string {
  const { summary = '', description = '', args, flags, examples = [] } = command;
  const own = Object.values(flags).filter(({ helpGroup }) => helpGroup !== 'GLOBAL');
  const usage = [
    `trmig ${nameOf(command)}`,
    ...Object.values(args).map(({ name, required }) =>
      required === true ? name.toUpperCase() : `[${name.toUpperCase()}]`,
    ),
    ...own.map((flag) => (flag.required === true ? flagText(flag) : `[${flagText(flag)}]`)),
  ];
  const rows = [
    ...Object.values(args).map(({ name, description: text = '' }) => `| \`${name.toUpperCase()}\` | ${text} |`),
    ...own.map((flag) => `| \`${flagText(flag).replaceAll('|', '\\|')}\` | ${flagMeaning(flag)} |`),
  ];
  return [
    `## trmig ${nameOf(command)}`,
    `${summary} ${description}`,
    ['```', wrapped(usage), '```'].join('\n'),
    ...(rows.length === 0 ? [] : [['| | |', '| --- | --- |', ...rows].join('\n')]),
    ['```', ...examples.map(exampleText), '```'].join('\n'),
  ].join('\n\n');
}

function flagText(flag: Command.Flag.Cached): string {
  const name = `${flag.char === undefined ? '' : `-${flag.char}, `}--${flag.name}`;
  if (flag.type === 'boolean') return name;
  const { options, helpValue } = flag;
  return `${name} ${options === undefined ? String(helpValue ?? 'VALUE') : options.join('|')}`;
}

function flagMeaning(flag: Command.Flag.Cached): string {
  const { summary = '', type } = flag;
  const value: unknown = type === 'option' ? flag.default : undefined;
  const text = summary.replaceAll('|', '\\|');
  return typeof value === 'string' || typeof value === 'number' ? `${text} Default: \`${value}\`.` : text;
}

/** One line where it fits, else the rest under the first, indented. */
function wrapped(words: readonly string[]): string {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < 100) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(last === undefined ? word : `  ${word}`);
  }
  return lines.join('\n');
}

function exampleText(example: Command.Example): string {
  const [comment, command] =
    typeof example === 'string' ? ['', example] : [`# ${example.description}\n`, example.command];
  return `${comment}${command.replaceAll('<%= config.bin %>', 'trmig')}`;
}
