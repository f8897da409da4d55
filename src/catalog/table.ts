// The same four statements for every table, made from the row's schema, so that a column is named in two places only: the
// row type and the schema step.
import type { Statement } from 'better-sqlite3';
import type { z } from 'zod';
import { TrmigError } from '../errors.js';
import type { Database } from './database.js';

type Value = string | number | null;

/** One table of an open database. Table and column names come from this program, never from outside. */
export class Table<Row extends Record<string, Value>> {
  private readonly columns: readonly string[];
  private readonly statements = new Map<string, Statement>();

  constructor(
    private readonly database: Database,
    private readonly name: string,
    private readonly schema: z.ZodObject & z.ZodType<Row>,
    private readonly key: readonly (keyof Row & string)[],
  ) {
    this.columns = Object.keys(schema.shape);
  }

  /** Inserts, or updates in place: replacing would delete first and take the rows that refer to it along. */
  put(row: Row): void {
    const rest = this.columns.filter((column) => !this.key.includes(column));
    const sql =
      `INSERT INTO ${this.name} (${this.columns.join(', ')}) VALUES (${this.columns.map((c) => `@${c}`).join(', ')}) ` +
      `ON CONFLICT (${this.key.join(', ')}) DO UPDATE SET ${rest.map((c) => `${c} = excluded.${c}`).join(', ')}`;
    // Parsed on the way in as well: what could not be read back is not written.
    const parsed = this.schema.safeParse(row);
    if (!parsed.success) {
      throw new TrmigError('E_INTERNAL', `a row for ${this.name} is not valid`, { cause: parsed.error });
    }
    this.statement(sql).run(parsed.data);
  }

  /** The rows that a clause (from WHERE on) selects. */
  select(clause: string, ...values: Value[]): Row[] {
    const rows = this.statement(`SELECT ${this.columns.join(', ')} FROM ${this.name} ${clause}`).all(...values);
    return rows.map((row) => this.parse(row));
  }

  /** The first of them, or null. */
  first(clause: string, ...values: Value[]): Row | null {
    return this.select(`${clause} LIMIT 1`, ...values)[0] ?? null;
  }

  /** Deletes what a clause selects; returns how many rows went. */
  delete(clause: string, ...values: Value[]): number {
    return this.statement(`DELETE FROM ${this.name} ${clause}`).run(...values).changes;
  }

  private parse(row: unknown): Row {
    const parsed = this.schema.safeParse(row);
    if (parsed.success) return parsed.data;
    throw new TrmigError('E_CATALOG_CORRUPT', `${this.database.name} holds an impossible row in ${this.name}`, {
      cause: parsed.error,
      facts: { file: this.database.name, table: this.name },
    });
  }

  private statement(sql: string): Statement {
    const known = this.statements.get(sql);
    if (known) return known;
    const prepared = this.database.prepare(sql);
    this.statements.set(sql, prepared);
    return prepared;
  }
}
