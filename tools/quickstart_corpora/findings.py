"""Symptoms, diagnoses, reactions and the small words around them.

Lists are separated by `;` or by lines. They are generic clinical terms.
"""


def _terms(text):
    return tuple(t.strip() for part in text.strip().splitlines() for t in part.split(";") if t.strip())


SYMPTOMS = _terms("""
chest pain; chest tightness; palpitations; shortness of breath; dyspnea on exertion; orthopnea
dry cough; productive cough; hemoptysis; wheezing; sore throat; hoarseness; nasal congestion
runny nose; sinus pressure; ear pain; hearing loss; tinnitus; vertigo; dizziness; lightheadedness
syncope; headache; blurred vision; double vision; eye pain; eye redness; photophobia; neck stiffness
neck pain; jaw pain; tooth pain; difficulty swallowing; heartburn; nausea; vomiting; abdominal pain
bloating; early satiety; poor appetite; weight loss; weight gain; diarrhea; constipation
bloody stools; black stools; rectal pain; jaundice; dark urine; dysuria; hematuria; flank pain
urinary frequency; urinary urgency; urinary retention; incontinence; pelvic pain; vaginal bleeding
vaginal discharge; breast pain; breast lump; testicular pain; fever; chills; night sweats; fatigue
malaise; generalized weakness; muscle cramps; muscle aches; joint pain; joint swelling
morning stiffness; back pain; hip pain; knee pain; knee swelling; shoulder pain; wrist pain
ankle swelling; leg swelling; leg cramps; calf pain; foot pain; foot ulcer; numbness; tingling
arm weakness; leg weakness; slurred speech; facial droop; tremor; gait instability; memory loss
confusion; hallucinations; anxiety; low mood; insomnia; daytime sleepiness; snoring; itching
rash; hives; dry skin; hair loss; easy bruising; nosebleeds; gum bleeding; cold intolerance
heat intolerance; excessive thirst; hot flashes; swollen glands; mouth sores; oral thrush
loss of smell; loss of taste; unsteadiness; restless legs; finger numbness; groin pain; rib pain
""")

DIAGNOSES = _terms("""
hypertension; type 2 diabetes; type 1 diabetes; hyperlipidemia; coronary artery disease
heart failure; atrial fibrillation; aortic stenosis; mitral regurgitation; pericarditis
endocarditis; peripheral artery disease; deep vein thrombosis; pulmonary embolism; stroke; TIA
epilepsy; migraine; multiple sclerosis; Parkinson disease; dementia; neuropathy; sciatica
asthma; COPD; pneumonia; bronchitis; tuberculosis; pulmonary fibrosis; sarcoidosis; sleep apnea
pleural effusion; pneumothorax; lung nodule; GERD; peptic ulcer; gastritis; gastroparesis
Crohn disease; ulcerative colitis; celiac disease; diverticulitis; appendicitis; pancreatitis
cholecystitis; gallstones; cirrhosis; hepatitis C; fatty liver; colon polyps; hemorrhoids
bowel obstruction; inguinal hernia; hiatal hernia; chronic kidney disease; acute kidney injury
kidney stones; pyelonephritis; cystitis; prostatitis; BPH; hydronephrosis; nephrotic syndrome
hypothyroidism; hyperthyroidism; thyroid nodule; goiter; Cushing syndrome; adrenal insufficiency
osteoporosis; osteoarthritis; rheumatoid arthritis; gout; lupus; psoriasis; eczema; cellulitis
shingles; scabies; abscess; osteomyelitis; septic arthritis; rotator cuff tear; meniscal tear
wrist fracture; hip fracture; rib fracture; ankle sprain; plantar fasciitis; carpal tunnel syndrome
spinal stenosis; scoliosis; fibromyalgia; anemia; iron deficiency; thrombocytopenia; neutropenia
lymphoma; leukemia; multiple myeloma; breast cancer; lung cancer; prostate cancer; melanoma
bladder cancer; colon cancer; depression; bipolar disorder; PTSD; panic disorder; schizophrenia
alcohol use disorder; opioid use disorder; glaucoma; cataract; macular degeneration; conjunctivitis
sinusitis; otitis media; tonsillitis; pharyngitis; influenza; COVID-19; mononucleosis; HIV; syphilis
endometriosis; uterine fibroids; ovarian cyst; preeclampsia; mastitis; hyponatremia; hypokalemia
hyperkalemia; dehydration; delirium; sepsis; pressure ulcer; varicose veins; obesity; malnutrition
""")

#: unwanted effects of drugs, for the adverse event task's unmarked mentions
EFFECTS = _terms("""
rash; cough; hyperkalemia; hyponatremia; bradycardia; hypotension; dizziness; nausea; vomiting
diarrhea; constipation; dry mouth; drowsiness; insomnia; headache; tremor; weight gain; edema
hair loss; muscle pain; gum swelling; hepatitis; pancreatitis; neutropenia; bleeding; bruising
hives; itching; confusion; falls; urinary retention; sexual dysfunction; hiccups; QT prolongation
kidney injury; hypoglycemia; photosensitivity; mouth ulcers; blurred vision; metallic taste
""")

ALLERGIC = _terms("""
hives; diffuse hives; anaphylaxis; angioedema; lip swelling; tongue swelling; facial swelling
throat tightness; throat swelling; generalized itching; widespread rash; itchy welts; wheezing
bronchospasm; laryngeal edema; urticaria; urticarial rash; blistering rash; swollen eyelids
itchy rash; maculopapular rash; stridor; anaphylactic shock; mouth itching; raised itchy rash
hives all over; swollen lips; swollen face; swollen hands; itchy eyes; sneezing fits; throat closing
contact dermatitis; eczema flare; trouble breathing; welts; nasal swelling; peeling rash; drug rash
lip tingling; hoarse voice; red itchy skin; puffy face; asthma attack; Stevens-Johnson syndrome
sudden collapse; watery eyes; burning rash; itchy palms; facial hives; choking feeling
""")

MEDICINES = _terms("""
penicillin; amoxicillin; ampicillin; cephalexin; cefazolin; ceftriaxone; sulfa drugs; clindamycin
azithromycin; ciprofloxacin; doxycycline; vancomycin; metronidazole; nitrofurantoin; aspirin
ibuprofen; naproxen; ketorolac; codeine; morphine; oxycodone; tramadol; hydrocodone; lidocaine
iodine contrast; gadolinium; latex; adhesive tape; chlorhexidine; heparin; lisinopril; enalapril
atorvastatin; simvastatin; metformin; gabapentin; phenytoin; carbamazepine; lamotrigine; prednisone
ondansetron; metoclopramide; omeprazole; fluoxetine; sertraline; bupropion; allopurinol; warfarin
levofloxacin; linezolid; meropenem; hydralazine; amlodipine; metoprolol; niacin; ferrous sulfate
""")

#: allergens that nobody prescribes
OTHER_ALLERGENS = _terms("""
peanuts; walnuts; almonds; cashews; shellfish; shrimp; crab; cod; eggs; milk; wheat; soy; sesame
strawberries; kiwi; bananas; mango; bee stings; wasp stings; cat dander; dog dander; ragweed
""")

ALLERGENS = MEDICINES + OTHER_ALLERGENS

#: ways to look for something, each fit for most diagnoses
STUDIES = _terms("""
workup; repeat workup; evaluation; testing; repeat testing; screening; assessment; second opinion
specialist review; exam; repeat exam; imaging; today's exam; outside records; recent evaluation
latest testing; inpatient workup; annual screening; chart review; full evaluation; ED workup
""")

CLINICIANS = _terms("""
PCP; consultant; ED physician; on-call team; specialist; hospitalist; night team; attending; resident
nurse practitioner; triage nurse; physician assistant; covering doctor; home nurse; pharmacist; fellow
""")

PROCEDURES = _terms("""
colonoscopy; upper endoscopy; echocardiogram; stress test; cardiac catheterization; EKG
chest x-ray; head CT; abdominal CT; brain MRI; lumbar MRI; knee MRI; renal ultrasound
thyroid ultrasound; carotid ultrasound; bone density scan; mammogram; Pap smear; skin biopsy
liver biopsy; lumbar puncture; EEG; nerve conduction study; sleep study; spirometry; bronchoscopy
cystoscopy; PET scan; Holter monitor; eye exam; foot exam; hearing test; PSA test; lipid panel
hemoglobin A1c; TSH; blood cultures; urine culture; stool culture; INR check; thyroid biopsy
hip x-ray; wrist x-ray; pelvic ultrasound; HIV test; tuberculin test; allergy testing; D-dimer
dental exam; cataract surgery; hernia repair; gallbladder removal; knee replacement; port placement
flu shot; tetanus booster; pneumonia vaccine; shingles vaccine; dialysis session; wound debridement
""")

SERVICES = _terms("""
cardiology; neurology; nephrology; gastroenterology; endocrinology; rheumatology; dermatology
urology; orthopedics; ENT; ophthalmology; pulmonology; hematology; oncology; psychiatry
physical therapy; occupational therapy; speech therapy; nutrition; social work; podiatry
pain clinic; wound care; vascular surgery; infectious disease; palliative care; geriatrics
audiology; dentistry; sleep medicine; cardiac rehab; plastic surgery; neurosurgery; gynecology
""")

SETTINGS = _terms("""
clinic; ED; ward; ICU; urgent care; walk-in clinic; nursing home; rehab unit; day unit; hospice
pre-op clinic; fracture clinic; memory clinic; infusion center; dialysis unit; step-down unit; PACU
day surgery; diabetes clinic; burn unit; observation unit
""")

DURATIONS = _terms("""
1 day; 2 days; 3 days; 4 days; 5 days; 6 days; 1 week; 10 days; 2 weeks; 3 weeks; 4 weeks; 6 weeks
1 month; 2 months; 3 months; 4 months; 6 months; 9 months; 1 year; 2 years; 3 years; 5 years
""")

#: values and observations that are neither a drug nor a dose nor a problem
VITALS = _terms("""
BP 142/88; BP 118/70; BP 96/58; BP 164/92; HR 104; HR 72; HR 58; RR 18; RR 24; T 37.2; T 38.6
SpO2 94%; SpO2 98% on room air; weight 82 kg; weight 64 kg; Na 132; K 5.4; K 3.1; Cr 1.8; Cr 0.9
Hb 9.4 g/dL; Hb 13.1 g/dL; WBC 12.4; INR 2.6; INR 4.1; A1c 8.2%; A1c 6.4%; glucose 212 mg/dL
TSH 6.8; LDL 148 mg/dL; CRP 44 mg/L; lactate 2.2 mmol/L; platelets 88; EF 35%; GFR 42; peak flow 320
""")

RELATIVES = _terms("""
mother; father; sister; brother; daughter; son; aunt; uncle; grandmother; grandfather; cousin
twin sister; twin brother; half sister; older brother; niece; nephew; younger sister; grandson; granddaughter
""")
