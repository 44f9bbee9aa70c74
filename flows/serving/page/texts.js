"use strict";
// All texts of the page; both languages have the same names. Where the API says it in words
// (`meaning`, `notice`, `detail`), English shows those.
const percent = (share) => `${(100 * share).toFixed(1)}%`;

const TEXTS = {
  en: {
    other: "한국어",
    what: "Probability of pneumonia on a chest film.",
    use: "For research, not for diagnosis.",
    invitation: "Drop a chest film here, or choose a file",
    kinds: "JPEG, PNG, DICOM. It is read and not kept.",
    film: "The film",
    map: "What speaks for pneumonia (HiResCAM), the strongest brightest. It shows where the model "
      + "looked, not where disease is. Doubt a reading whose map lies outside the lungs.",
    map_alternative: "The film with what speaks for pneumonia laid over it",
    model: "The model",
    name: "Name",
    point: "Operating point",
    means: "What it means",
    limits: "Limits",
    points: { reading_aid: "reading aid", screening: "screening", rule_in: "rule-in" },
    reading: "Reading the film ...",
    silent: "The server does not answer.",
    not_read_silent: "Not read: the server does not answer.",
    refusal: (problem) => `Not read: ${problem.detail}`,
    version: (name, version) => `${name}, version ${version}`,
    decision: { NORMAL: "Read as NORMAL", PNEUMONIA: "Read as PNEUMONIA" },
    bounds: { above: (p) => `above ${p}`, below: (p) => `below ${p}`, at: (p) => p },
    probability: (p, prevalence) =>
      `Probability of pneumonia ${p}, where ${percent(prevalence)} of films have it.`,
    rule: (threshold, reached) =>
      `That is ${reached ? "at or above" : "below"} the threshold of ${threshold}.`,
    meaning: (said) => said.meaning,
    notice: (said) => said.notice,
  },
  ko: {
    other: "English",
    what: "흉부 X선 영상의 폐렴 확률.",
    use: "연구용이며 진단에 쓸 수 없다.",
    invitation: "흉부 X선 영상을 여기에 놓거나 파일을 선택",
    kinds: "JPEG, PNG, DICOM. 판독만 하고 보관하지 않는다.",
    film: "영상",
    map: "폐렴의 근거(HiResCAM), 강할수록 밝다. 모델이 본 곳이지 병변의 위치가 아니다. "
      + "지도가 폐 밖을 가리키면 판독을 의심해야 한다.",
    map_alternative: "같은 영상에 폐렴의 근거를 겹친 것",
    model: "모델",
    name: "이름",
    point: "운용점",
    means: "의미",
    limits: "한계",
    points: { reading_aid: "판독 보조", screening: "선별", rule_in: "우선 판독" },
    reading: "영상을 판독하는 중 ...",
    silent: "서버가 응답하지 않는다.",
    not_read_silent: "판독하지 못함: 서버가 응답하지 않는다.",
    refusal: ({ type, status, detail }) => {
      const kinds = {
        "urn:pneumo:problem:not-a-chest-film": "흉부 X선 영상이 아닌 것으로 보인다",
        "urn:pneumo:problem:not-an-image": "읽을 수 있는 영상이 아니다",
      };
      const busy = { 413: "파일이 너무 크다", 429: "요청이 너무 많다", 503: "서버가 바쁘다" };
      const why = kinds[type] ?? busy[status];
      return `판독하지 않음: ${why ? `${why} (${detail})` : detail}`;
    },
    version: (name, version) => `${name}, 버전 ${version}`,
    decision: { NORMAL: "판정: 정상", PNEUMONIA: "판정: 폐렴" },
    bounds: { above: (p) => `${p} 초과`, below: (p) => `${p} 미만`, at: (p) => p },
    probability: (p, prevalence) => `폐렴 확률 ${p}(영상의 ${percent(prevalence)}가 폐렴인 곳에서).`,
    rule: (threshold, reached) => `임계값 ${threshold} ${reached ? "이상" : "미만"}이다.`,
    meaning: ({ threshold, on_validation: { sensitivity, specificity, prevalence } }) => {
      const share = ({ value, ci_low: low, ci_high: high }) =>
        `${percent(value)}(95% 신뢰구간 ${percent(low)}~${percent(high)})`;
      return `확률이 ${threshold.toFixed(3)} 이상이면 폐렴, 미만이면 정상으로 판정한다. `
        + `검증에서 민감도 ${share(sensitivity)}, 특이도 ${share(specificity)}. 신뢰구간은 환자가 `
        + `아니라 영상을 센 것이다. 확률은 영상의 ${percent(prevalence)}가 폐렴인 곳에서 맞으며, `
        + "폐렴이 더 드문 곳에서는 실제 가능성이 더 낮다.";
    },
    notice: () => "연구용이며 진단에 쓸 수 없다. 정상 판정은 폐렴이나 다른 질병을 배제하지 않는다. "
      + "수치는 모델이 학습한 것과 같은 영상에서 맞으며, 다른 곳, 다른 나이, 다른 질병의 영상에서는 "
      + "우연보다 낫지 않을 수 있다.",
  },
};
