/** Where the frozen backbone comes from. */
import { z } from "zod";
import { SlotSchema } from "./space.js";

const trustRemoteCode = z.boolean().default(false).describe("run Python code that comes with the model");

export const FusedModuleSchema = z
  .strictObject({
    module: z.string().min(1),
    start: z.int().min(0).describe("first output of the slot in each group"),
    stop: z.int().min(1).describe("the output after its last"),
    groups: z.int().min(1).default(1).describe("equal groups that the outputs fall into, such as one a head"),
  })
  .meta({ id: "FusedModule" });
export const MappingSchema = z
  .strictObject({
    layers: z.string().min(1).describe("path of the list that holds the layers, such as encoder.layer"),
    slots: z
      .partialRecord(SlotSchema, z.union([z.string(), FusedModuleSchema]))
      .describe(
        'a slot\'s module inside a layer ("" is the layer itself), or the part of one that several slots share',
      ),
  })
  .meta({ id: "Mapping" });
const mapping = MappingSchema.nullable()
  .default(null)
  .describe("where layers and slots are, for a model whose family is not known; null: as its family has them");
const quantization = z
  .enum(["4bit", "8bit"])
  .nullable()
  .default(null)
  .describe(
    "the frozen linears are held in so many bits, by bitsandbytes on CUDA: NF4 with double quantisation, or LLM.int8();" +
      " null: as they are",
  );

export const EmbeddedBackboneSchema = z
  .strictObject({
    source: z.literal("embedded"),
    name: z
      .enum(["minilm", "smollm2"])
      .describe(
        "minilm: the encoder all-MiniLM-L6-v2, 6 layers x 384; smollm2: the decoder SmolLM2-135M, 30 layers x 576",
      ),
    quantization,
  })
  .meta({ id: "EmbeddedBackbone" });
export const FolderBackboneSchema = z
  .strictObject({
    source: z.literal("folder"),
    path: z.string().min(1).describe("a folder with config.json, tokeniser and safetensors weights"),
    trustRemoteCode,
    mapping,
    quantization,
  })
  .meta({ id: "FolderBackbone" });
export const HubBackboneSchema = z
  .strictObject({
    source: z.literal("hub"),
    id: z.string().min(1).describe("a model's name on the Hub, such as FacebookAI/roberta-base"),
    revision: z.string().min(1).default("main").describe("branch, tag or commit"),
    trustRemoteCode,
    mapping,
    quantization,
  })
  .meta({ id: "HubBackbone" });
export const BackboneSchema = z
  .discriminatedUnion("source", [EmbeddedBackboneSchema, FolderBackboneSchema, HubBackboneSchema])
  .meta({ id: "Backbone" });

export type BackboneInput = z.input<typeof BackboneSchema>;
