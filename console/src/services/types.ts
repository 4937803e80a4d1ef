// Names for the shapes of the HTTP API. They are made from the OpenAPI document (`npm run types`), never written by hand.

import type { components, operations } from './schema.gen';

type Schemas = components['schemas'];

/** The JSON of an operation's good answer; `void` when it has none. */
export type Answer<Name extends keyof operations> = operations[Name] extends { responses: infer Responses } ? JsonOf<Responses[keyof Responses & (200 | 201 | 202)]> : never;

type JsonOf<Response> = [Response] extends [never] ? void : Response extends { content: { 'application/json': infer Json } } ? Json : never;

export type ErrorKind = Schemas['ErrorKind'];
export type ErrorBody = Schemas['ErrorBody'];
export type ErrorAnswer = Schemas['ErrorAnswer'];

export type ApiToken = Schemas['ApiToken'];
export type NewApiToken = Schemas['NewApiToken'];
export type TokenRequest = Schemas['TokenRequest'];
export type LoginRequest = Schemas['LoginRequest'];
export type PasswordRequest = Schemas['PasswordRequest'];

export type StatementRequest = Schemas['StatementRequest'];
export type QueryState = Schemas['QueryState'];
export type QueryError = Schemas['QueryError'];
export type QueryRecord = Schemas['QueryRecord'];

/** A word of the server on a statement that succeeded. It comes in a header, whose content the document tells in words only. */
export interface Notice {
  message: string;
  hint: string | null;
}

export type CatalogTable = Schemas['CatalogTable'];
export type CatalogSchema = Schemas['CatalogSchema'];
export type TableColumn = Schemas['TableColumn'];
export type TableDetail = Schemas['Table'];
export type ColumnProfile = Schemas['ColumnProfile'];
export type TableProfile = Schemas['TableProfile'];
export type TableVersion = Schemas['TableVersion'];

export type ColumnChoice = Schemas['ColumnChoice'];
export type LoadOptions = Schemas['LoadOptions'];
export type ColumnPreview = Schemas['ColumnPreview'];
export type TablePreview = Schemas['TablePreview'];
export type PreviewRequest = Schemas['PreviewRequest'];
export type LoadMode = Schemas['LoadMode'];
export type LoadRequest = Schemas['LoadRequest'];
export type TableReport = Schemas['TableReport'];
export type LoadReport = Schemas['LoadReport'];
export type LoadStatus = Schemas['LoadStatus'];

export type ChartKind = Schemas['ChartKind'];
/** A chart with nothing left out; see `fullChart`. */
export type ChartSpec = Required<Schemas['Chart']>;
export type SavedQueryRequest = Schemas['SavedQueryRequest'];
export type SavedQuery = Omit<Schemas['SavedQuery'], 'chart'> & { chart: ChartSpec | null };
export type SavedQueryAnswer = Schemas['SavedQuery'];

/** One attempt of a job. */
export type JobRun = Schemas['Run'];
export type RunState = Schemas['RunState'];
export type RunLog = Schemas['RunLog'];
/** What a job's kind needs to know may be anything. */
export type Job = Omit<Schemas['Job'], 'payload'> & { payload: Record<string, unknown> };

export type Topic = Schemas['Topic'];
export type TopicRequest = Omit<Schemas['TopicRequest'], 'settings'> & { settings: Record<string, string> };
export type TopicDetail = Schemas['TopicDetail'];
export type TopicReader = Schemas['TopicReader'];
export type TopicSetting = Schemas['TopicSetting'];
export type Partition = Schemas['Partition'];
export type KafkaDoor = Schemas['KafkaDoor'];
export type Group = Schemas['Group'];
export type ReaderState = Schemas['ReaderState'];
export type GroupOffset = Schemas['GroupOffset'];
export type GroupMember = Schemas['Member'];
export type Payload = Schemas['Payload'];
export type Message = Schemas['Message'];
export type MessagePage = Schemas['MessagePage'];
export type TailPart = Schemas['TailPart'];
export type Delivery = Schemas['Delivery'];
export type DeliveryState = Schemas['DeliveryState'];
export type Redriven = Schemas['RedriveAnswer'];
