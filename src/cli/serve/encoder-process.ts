export interface EncoderProcess {
  readonly url: string;
  close(): Promise<void>;
}
export async function startEncoder(_: unknown): Promise<EncoderProcess> {
  throw new Error('not built yet');
}
