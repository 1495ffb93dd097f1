/** Where the frozen backbone comes from. */
import { z } from "zod";

const trustRemoteCode = z.boolean().default(false).describe("run Python code that comes with the model");

export const EmbeddedBackboneSchema = z
  .strictObject({
    source: z.literal("embedded"),
    name: z.enum(["minilm"]).describe("minilm: all-MiniLM-L6-v2, 6 layers x 384"),
  })
  .meta({ id: "EmbeddedBackbone" });
export const FolderBackboneSchema = z
  .strictObject({
    source: z.literal("folder"),
    path: z.string().min(1).describe("a folder with config.json, tokeniser and safetensors weights"),
    trustRemoteCode,
  })
  .meta({ id: "FolderBackbone" });
export const HubBackboneSchema = z
  .strictObject({
    source: z.literal("hub"),
    id: z.string().min(1).describe("a model's name on the Hub, such as FacebookAI/roberta-base"),
    revision: z.string().min(1).default("main").describe("branch, tag or commit"),
    trustRemoteCode,
  })
  .meta({ id: "HubBackbone" });
export const BackboneSchema = z
  .discriminatedUnion("source", [EmbeddedBackboneSchema, FolderBackboneSchema, HubBackboneSchema])
  .meta({ id: "Backbone" });

export type BackboneInput = z.input<typeof BackboneSchema>;
